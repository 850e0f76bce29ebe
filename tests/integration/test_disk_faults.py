"""Disks that fail, fill up, get slow, lose power or rot, under real brokers and acknowledged load.

The faults are made by fault_disk.c, preloaded into the brokers.  After each of them every acknowledged
message is there, in order, once.
"""
import os
import random
import re
import time

import confluent_kafka
import pytest

from cluster import wait_for
from disk import Disk
from load import Load, check, read_all

POWER_CUT_SECONDS = float(os.environ.get("FLOTILLA_POWER_CUT_SECONDS", "30"))
POWER_CUT_SEED = int(os.environ.get("FLOTILLA_POWER_CUT_SEED", "7"))
STATUS_ABANDONED = 1


@pytest.fixture
def make_faulty_cluster(make_cluster):
    def make(**options):
        cluster = make_cluster(**options)
        cluster.disks = {number: Disk(broker) for number, broker in cluster.brokers.items()}
        return cluster.start()
    return make


def group_directory(broker, topic, partition=0):
    group = broker.cluster.groups(topic)[partition][broker.number]["group"]
    return broker.directory / "groups" / str(group)


def other_than(cluster, broker):
    return next(b for b in cluster.brokers.values() if b is not broker)


VICTIMS = {
    "leader": lambda cluster: cluster.leader_of("load"),
    "follower": lambda cluster: other_than(cluster, cluster.leader_of("load")),
}

FAULTS = {
    "sync-fails-once": ("fail sync EIO 1 {group}", "Input/output error"),
    "write-fails": ("fail write EIO 1 {group}", "Input/output error"),
    "disk-full": ("fail write ENOSPC -1 groups", "No space left on device"),
    "no-descriptors": ("fail open EMFILE 1 .log", "Too many open files"),
}


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broker_whose_disk_fails_gives_up(make_faulty_cluster, fault, victim):
    cluster = make_faulty_cluster()
    cluster.create_topic("load", config="segment.bytes=40000")
    load = Load(cluster, "load")
    try:
        load.wait_for_progress()
        broker = VICTIMS[victim](cluster)
        command, reason = FAULTS[fault]
        directory = group_directory(broker, "load")
        cluster.disks[broker.number].obey(command.format(group=directory))
        assert broker.ended() == STATUS_ABANDONED
        assert f"the broker gives up: the disk under {broker.directory} failed: {reason}" in broker.log()
        assert re.search(rf'level=error [^\n]*msg="\w+ing {directory}/[0-9a-z.]+ failed: {reason}"', broker.log())
        load.wait_for_progress()
        broker.start()
        cluster.wait_until_ready()
        load.wait_for_progress()
        wait_for(lambda: broker.number in cluster.groups("load")[0], "the replica is back")
    finally:
        load.stop()
    check(cluster, load)
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")


def test_a_failed_sync_is_not_tried_again(make_faulty_cluster):
    """The only replica: what it acknowledged after the failure would be gone."""
    cluster = make_faulty_cluster(size=1, tls=False)
    broker = cluster.brokers[1]
    cluster.create_topic("load")
    load = Load(cluster, "load")
    try:
        for _ in range(3):
            load.wait_for_progress()
            cluster.disks[1].obey("fail sync EIO 1 .log")
            assert broker.ended() == STATUS_ABANDONED
            broker.start()
            cluster.wait_until_ready()
        load.wait_for_progress()
    finally:
        load.stop()
    check(cluster, load)


def test_a_slow_disk_costs_neither_messages_nor_leadership(make_faulty_cluster):
    cluster = make_faulty_cluster()
    cluster.create_topic("load")
    load = Load(cluster, "load")
    try:
        load.wait_for_progress()
        leader = cluster.leader_of("load")
        term = cluster.groups("load")[0][leader.number]["term"]
        cluster.disks[leader.number].obey("delay sync 1500")
        for _ in range(2):
            load.wait_for_progress(1)
        assert cluster.leader_of("load") is leader
        assert cluster.groups("load")[0][leader.number]["term"] == term
        cluster.disks[leader.number].obey("delay sync 0")
        cluster.disks[other_than(cluster, leader).number].obey("delay sync 1500")
        load.wait_for_progress(1000)
    finally:
        for disk in cluster.disks.values():
            disk.obey("delay sync 0")
        load.stop()
    check(cluster, load)


def test_order_of_a_producer_that_sends_far_ahead(make_faulty_cluster):
    """More than a partition lets wait for its replicas: the producer is slowed down, none of it is refused, so
    even one that is not idempotent finds its order kept."""
    cluster = make_faulty_cluster()
    cluster.create_topic("ahead")
    for disk in cluster.disks.values():
        disk.obey("delay sync 400")
    failures, offsets = [], {}

    def delivered(number):
        def note(error, message):
            failures.append(error) if error else offsets.update({number: message.offset()})
        return note

    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all",
                                         "batch.num.messages": 1})
    for number in range(300):
        producer.produce("ahead", b"x" * 500000, on_delivery=delivered(number))
    assert producer.flush(240) == 0 and not failures
    assert offsets == {number: number for number in range(300)}
    refused = sum(broker.metric("flotilla_produce_errors_total") for broker in cluster.brokers.values())
    assert refused == 0


def lives(cluster, broker):
    """What the other brokers, all of them, say of it; None while they differ."""
    said = {row["live"] for other in cluster.brokers.values() if other is not broker
            for row in other.status("/v1/cluster")["brokers"] if row["id"] == broker.number}
    return said.pop() if len(said) == 1 else None


def test_a_disk_that_hangs_costs_the_lead_and_the_place_among_the_living(make_faulty_cluster):
    """Nothing fails and no connection ends: the broker notices by itself, and is back when the disk is."""
    cluster = make_faulty_cluster()
    cluster.create_topic("load")
    load = Load(cluster, "load")
    try:
        load.wait_for_progress()
        leader = cluster.leader_of("load")
        cluster.disks[leader.number].obey("delay sync 15000")
        wait_for(lambda: lives(cluster, leader) is False, "it does not count as live")
        assert f"the disk under {leader.directory} does not answer" in leader.log()
        assert leader.metric("flotilla_shards_with_hung_disk") == 1
        wait_for(lambda: cluster.leader_of("load") is not leader, "another one leads")
        load.wait_for_progress()
        cluster.disks[leader.number].obey("delay sync 0")
        wait_for(lambda: lives(cluster, leader), "it counts again")
        assert "answers again" in leader.log()
        load.wait_for_progress()
    finally:
        for disk in cluster.disks.values():
            disk.obey("delay sync 0")
        load.stop()
    check(cluster, load)
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")


def test_power_cuts_of_all_brokers(make_faulty_cluster):
    """Also the topics whose creation was acknowledged are there."""
    cluster = make_faulty_cluster()
    cluster.create_topic("load", config="segment.bytes=40000")
    load = Load(cluster, "load")
    topics = []
    chance = random.Random(POWER_CUT_SEED)
    unsynced_files = 0
    rounds = 0
    until = time.monotonic() + POWER_CUT_SECONDS
    try:
        while time.monotonic() < until or rounds < 3:
            load.wait_for_progress(100 + chance.randrange(300))
            topics.append(f"topic{rounds}")
            cluster.create_topic(topics[-1])
            seed = chance.randrange(1, 1 << 60) if rounds % 2 else 0
            for disk in cluster.disks.values():
                disk.order(f"cut {seed + disk.broker.number if seed else 0}")
            for broker in cluster.brokers.values():
                status = broker.ended()
                assert status == -9, f"round {rounds}, seed {seed}: status {status}\n" + \
                    "\n".join(disk.story() for disk in cluster.disks.values())
            for broker in cluster.brokers.values():
                broker.start()
            cluster.wait_until_ready()
            rounds += 1
        load.wait_for_progress()
    finally:
        load.stop()
    check(cluster, load)
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")
    listed = cluster.tool("topic", "list").stdout
    assert not [topic for topic in topics if topic not in listed]
    for disk in cluster.disks.values():
        cuts = [line for line in disk.log().splitlines() if line.startswith("cut ")]
        assert len(cuts) == rounds
        unsynced_files += sum(int(line.split()[2]) for line in cuts)
    assert unsynced_files > 0, "the cuts took something"
    for broker in cluster.brokers.values():
        assert broker.metric("flotilla_raft_groups", 'role="failed"') == 0
    print(f"{rounds} power cuts of three brokers, {unsynced_files} files were not synced, "
          f"{load.count()} messages acknowledged, none lost")


def is_short_of_room(broker):
    return broker.metric("flotilla_shards_short_of_disk") > 0


def test_a_full_disk_stops_writes_and_nothing_else(make_faulty_cluster):
    """The leader's disk gets full: another one leads.  All get full: reads go on.  There is room again:
    what was asked for meanwhile is written."""
    cluster = make_faulty_cluster()
    cluster.create_topic("load")
    load = Load(cluster, "load")
    try:
        load.wait_for_progress()
        first = cluster.leader_of("load")
        cluster.disks[first.number].obey("room 1000000")
        wait_for(lambda: is_short_of_room(first), "the leader is short of room")
        wait_for(lambda: cluster.leader_of("load") is not first, "another one leads")
        load.wait_for_progress()
        for broker in cluster.brokers.values():
            cluster.disks[broker.number].obey("room 1000000")
            wait_for(lambda: is_short_of_room(broker), "every broker is short of room")
        count = load.count()
        wait_for(lambda: cluster.leader_of("load"), "somebody leads")
        assert len(read_all(cluster, "load")) >= count, "reads go on"
        refused = cluster.tool("topic", "create", "more", check=False)
        assert refused.returncode != 0 and "disk is nearly full" in refused.stderr
        for broker in cluster.brokers.values():
            assert broker.is_running() and broker.is_ready()
            assert f"the disk under {broker.directory} is nearly full" in broker.log()
        for disk in cluster.disks.values():
            disk.obey("room -1")
        load.wait_for_progress()
        cluster.create_topic("more")
    finally:
        for disk in cluster.disks.values():
            disk.obey("room -1")
        load.stop()
    check(cluster, load)
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")


# ---- Rot: what is changed while a broker is down ----

def follower_that_is_down(cluster, topic, end, config=None):
    """A thousand messages, then one follower down: the load, the broker, and its group's directory."""
    cluster.create_topic(topic, config=config)
    cluster.create_topic("sound")
    load = Load(cluster, topic)
    load.wait_for_progress(1000)
    load.stop()
    wait_for(lambda: cluster.replicas_agree(topic), "replicas agree")
    broker = other_than(cluster, cluster.leader_of(topic))
    directory = group_directory(broker, topic)
    end(broker)
    return load, broker, directory


def stop(broker):
    assert broker.stop() == 0


def kill(broker):
    broker.kill()


def segments(directory):
    found = sorted(directory.glob("*.log"))
    assert found
    return found


def content(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def flip_a_byte(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x40]))


def damage_closed(directory):
    """A closed segment is believed by its index; without one it is read."""
    path = segments(directory)[0]
    assert len(segments(directory)) > 1
    path.with_suffix(".index").unlink()
    flip_a_byte(path, path.stat().st_size // 2)
    return path


def damage_active(directory):
    """Found when it is read, as what is applied after a start."""
    (directory / "snapshot").unlink()
    path = segments(directory)[-1]
    flip_a_byte(path, path.stat().st_size // 2)
    return path


def lose_synced_bytes(directory):
    """A stop that ended well has said where the log ends."""
    path = segments(directory)[-1]
    os.truncate(path, path.stat().st_size - 7)
    return path


def damage_epochs(directory):
    """Behind the two sectors of checkpoints."""
    path = directory / "epochs"
    flip_a_byte(path, 1024 + 40)
    return path


def damage_record(directory):
    """The file that says whose the group is."""
    path = directory / "group"
    flip_a_byte(path, path.stat().st_size // 2)
    return path


def put_aside(directory):
    return sorted(directory.parent.glob(directory.name + ".damaged-*"))


def is_voter(cluster, topic, broker):
    leader = cluster.leader_of(topic)
    members = cluster.groups(topic)[0][leader.number]["members"]
    return any(m["voter"] and m["broker"] == broker.number for m in members)


def is_whole_again(cluster, topic, broker):
    wait_for(lambda: broker.number in cluster.groups(topic).get(0, {}), "the replica is back")
    wait_for(lambda: is_voter(cluster, topic, broker), "the replica has its vote back")
    wait_for(lambda: cluster.replicas_agree(topic), "replicas agree")


@pytest.mark.parametrize("damage, config", [(damage_closed, "segment.bytes=20000"), (damage_active, None),
                                            (lose_synced_bytes, None), (damage_epochs, None),
                                            (damage_record, None)])
def test_a_damaged_replica_is_replaced_under_load(make_cluster, damage, config):
    cluster = make_cluster().start()
    load, broker, directory = follower_that_is_down(cluster, "load", stop, config)
    path = damage(directory)
    before = content(directory)
    more = Load(cluster, "sound")
    broker.start()
    cluster.wait_until_ready()
    wait_for(lambda: put_aside(directory), "the damaged directory is moved aside")
    is_whole_again(cluster, "load", broker)
    more.wait_for_progress()
    more.stop()
    check(cluster, more)
    check(cluster, load)
    aside, = put_aside(directory)
    for name in before:
        if name == path.name or name.endswith(".log"):
            assert (aside / name).read_bytes() == before[name], "nothing is changed or deleted"
    assert broker.metric("flotilla_raft_groups", 'role="failed"') == 0
    # What it holds now is what the others hold: it can take part in a majority of two.
    other = other_than(cluster, broker)
    other.kill()
    again = Load(cluster, "load")
    again.wait_for_progress()
    again.stop()
    assert not again.failed


# ---- Rot at rest: nobody reads what has changed, but the scrubber ----

def rot_epochs(directory):
    """Behind the two sectors of checkpoints."""
    flip_a_byte(directory / "epochs", 1024 + 40)


def rot_segment(directory):
    path = segments(directory)[0]
    flip_a_byte(path, path.stat().st_size // 2)


def rot_record(directory):
    flip_a_byte(directory / "group", (directory / "group").stat().st_size // 2)


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("rot", [rot_segment, rot_epochs, rot_record])
def test_rot_at_rest_is_found_and_the_replica_replaced(make_cluster, rot, victim):
    cluster = make_cluster(scrub_interval_ms=1000).start()
    cluster.create_topic("load", config="segment.bytes=20000")
    load = Load(cluster, "load")
    load.wait_for_progress(1000)
    load.stop()
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")
    broker = VICTIMS[victim](cluster)
    directory = group_directory(broker, "load")
    wait_for(lambda: broker.metric("flotilla_scrub_last_pass_timestamp_seconds") > 0, "a pass without a find")
    for each in cluster.brokers.values():
        assert each.metric("flotilla_scrub_damage_found_total") == 0
    rot(directory)
    wait_for(lambda: put_aside(directory), "the damaged directory is moved aside")
    is_whole_again(cluster, "load", broker)
    assert broker.metric("flotilla_scrub_damage_found_total") == 1
    check(cluster, load)


def test_rot_of_every_replica_in_another_place(make_cluster):
    """Of each message two copies are whole: one replica after the other is replaced, and nothing is lost."""
    cluster = make_cluster(scrub_interval_ms=1000).start()
    cluster.create_topic("load", config="segment.bytes=20000")
    load = Load(cluster, "load")
    load.wait_for_progress(2000)
    load.stop()
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")
    directories = [group_directory(broker, "load") for broker in cluster.brokers.values()]
    for place, directory in enumerate(directories):
        path = segments(directory)[place]
        flip_a_byte(path, path.stat().st_size // 2)
    wait_for(lambda: all(put_aside(directory) for directory in directories), "each is moved aside", 180)
    for broker in cluster.brokers.values():
        is_whole_again(cluster, "load", broker)
    check(cluster, load)


def test_rot_is_not_sent_to_a_consumer(make_cluster):
    """The leader finds it when somebody reads there: another one leads, and gives what was asked for."""
    cluster = make_cluster(scrub_bytes_per_second=0, leader_balance="false").start()
    cluster.create_topic("load", config="segment.bytes=20000")
    load = Load(cluster, "load")
    load.wait_for_progress(1000)
    load.stop()
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")
    for broker in cluster.brokers.values():
        stop(broker)  # what was just appended counts as good
    cluster.start()
    leader = cluster.leader_of("load")
    directory = group_directory(leader, "load")
    path = segments(directory)[0]
    flip_a_byte(path, path.stat().st_size // 2)
    check(cluster, load)
    assert leader.metric("flotilla_corrupt_reads_total") > 0
    assert f"{path}: position " in leader.log()
    assert cluster.leader_of("load") is not leader
    wait_for(lambda: put_aside(directory), "the damaged directory is moved aside")
    is_whole_again(cluster, "load", leader)
    check(cluster, load)


def test_a_snapshot_that_rots_is_written_anew(make_cluster):
    """The state it was made from is still in memory: no replica has to be replaced for it."""
    cluster = make_cluster(size=1, tls=False, scrub_interval_ms=1000).start()
    broker = cluster.brokers[1]
    cluster.create_topic("load")
    load = Load(cluster, "load")
    load.wait_for_progress(1000)
    load.stop()
    directory = group_directory(broker, "load")
    stop(broker)
    assert (directory / "snapshot").exists()
    broker.start()
    cluster.wait_until_ready()
    path = directory / "snapshot"
    flip_a_byte(path, path.stat().st_size // 2)
    wait_for(lambda: "its snapshot is damaged, and is written anew" in broker.log(), "it is found")
    passes = broker.metric("flotilla_scrub_passes_total")
    wait_for(lambda: broker.metric("flotilla_scrub_passes_total") >= passes + 2, "two more passes")
    assert broker.metric("flotilla_scrub_damage_found_total") == 1
    assert not put_aside(directory)
    check(cluster, load)


# ---- The controller group's own replica ----

def controller_group(broker):
    return next((g for g in broker.status()["groups"] if g["group"] == 1), None)


def controller_is_whole_again(cluster, broker):
    def is_voter_again():
        leader = cluster.controller()
        report = controller_group(leader)
        mine = controller_group(broker)
        return report and mine and mine["role"] in ("follower", "leader") and any(
            m["voter"] and m["broker"] == broker.number for m in report["members"])
    wait_for(is_voter_again, "the controller's replica has its vote back")
    wait_for(broker.is_ready, "the broker is ready")


def rot_controller_segment(directory):
    path = segments(directory)[-1]
    flip_a_byte(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [rot_controller_segment, rot_epochs, rot_record])
def test_a_controller_that_is_damaged_at_its_start_is_replaced(make_cluster, damage):
    cluster = make_cluster().start()
    cluster.create_topic("load")
    load = Load(cluster, "load")
    load.wait_for_progress()
    broker = cluster.controller()
    directory = broker.directory / "groups" / "1"
    stop(broker)
    (directory / "snapshot").unlink(missing_ok=True)  # what it says is not asked for again otherwise
    damage(directory)
    cluster.create_topic("meanwhile")
    broker.start()
    wait_for(lambda: put_aside(directory), "the damaged directory is moved aside")
    controller_is_whole_again(cluster, broker)
    cluster.create_topic("after")
    load.wait_for_progress()
    load.stop()
    check(cluster, load)
    # It counts: with another one dead the two of them are the majority.
    other_than(cluster, broker).kill()
    cluster.create_topic("last", replication=2)


@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_a_controller_that_rots_while_it_runs_is_replaced(make_cluster, victim):
    cluster = make_cluster(scrub_interval_ms=1000).start()
    cluster.create_topic("load")
    load = Load(cluster, "load")
    load.wait_for_progress()
    leader = cluster.controller()
    broker = leader if victim == "leader" else other_than(cluster, leader)
    directory = broker.directory / "groups" / "1"
    rot_epochs(directory)
    wait_for(lambda: put_aside(directory), "the damaged directory is moved aside")
    controller_is_whole_again(cluster, broker)
    cluster.create_topic("after")
    load.wait_for_progress()
    load.stop()
    check(cluster, load)
    other_than(cluster, broker).kill()
    cluster.create_topic("last", replication=2)


def test_damage_of_the_only_replica_is_told_and_nothing_is_moved(make_cluster):
    cluster = make_cluster(size=1, tls=False).start()
    broker = cluster.brokers[1]
    cluster.create_topic("load", config="segment.bytes=20000")
    load = Load(cluster, "load")
    load.wait_for_progress(1000)
    load.stop()
    directory = group_directory(broker, "load")
    stop(broker)
    path = damage_closed(directory)
    before = content(directory)
    broker.start()
    cluster.wait_until_ready()
    wait_for(lambda: broker.metric("flotilla_raft_groups", 'role="failed"') == 1, "one failed group")
    assert str(path) in broker.log()
    wait_for(lambda: "and it is the only one; nothing is moved or deleted" in broker.log(), "it is told")
    assert content(directory) == before
    assert not put_aside(directory)


def test_a_torn_tail_is_cut_and_filled_again(make_cluster):
    cluster = make_cluster().start()
    load, broker, directory = follower_that_is_down(cluster, "load", kill)
    path = segments(directory)[-1]
    size = path.stat().st_size
    os.truncate(path, size - 7)
    broker.start()
    cluster.wait_until_ready()
    wait_for(lambda: broker.number in cluster.groups("load").get(0, {}), "the replica is back")
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")
    assert path.stat().st_size == size
    assert broker.metric("flotilla_raft_groups", 'role="failed"') == 0
    check(cluster, load)


def test_a_damaged_index_is_made_anew(make_cluster):
    cluster = make_cluster().start()
    load, broker, directory = follower_that_is_down(cluster, "load", stop, "segment.bytes=10000")
    indexes = sorted(directory.glob("*.index"))
    assert len(indexes) > 2
    flip_a_byte(indexes[0], indexes[0].stat().st_size // 2)
    os.truncate(indexes[1], 3)
    indexes[2].unlink()
    broker.start()
    cluster.wait_until_ready()
    wait_for(lambda: broker.number in cluster.groups("load").get(0, {}), "the replica is back")
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")
    assert broker.metric("flotilla_raft_groups", 'role="failed"') == 0
    check(cluster, load)


def test_a_group_of_another_cluster_is_refused(make_cluster):
    ours = make_cluster(size=1, tls=False)
    theirs = make_cluster(size=1, tls=False)
    theirs.name = "other"
    broker, other = ours.start().brokers[1], theirs.start().brokers[1]
    ours.create_topic("load")
    theirs.create_topic("load")
    mine, foreign = group_directory(broker, "load"), group_directory(other, "load")
    assert broker.stop() == 0 and other.stop() == 0
    mine.rename(broker.directory / "away")
    foreign.rename(mine)
    before = content(mine)
    broker.start()
    ours.wait_until_ready()
    wait_for(lambda: broker.metric("flotilla_raft_groups", 'role="failed"') == 1, "one failed group")
    assert "belongs to another cluster or broker" in broker.log()
    assert content(mine) == before
