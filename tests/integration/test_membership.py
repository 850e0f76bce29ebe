"""Brokers come and go: a cluster grows and shrinks under acknowledged load while brokers are killed, the
controller group's voters follow, and a broker whose disk was lost is filled again without losing a promise."""
import json
import shutil
import subprocess

import pytest

from cluster import Broker, wait_for
from load import Load, check

TOPIC = "kept"


def add_broker(cluster, number):
    """A new broker that knows one broker of the cluster, and nothing else."""
    known = min(n for n, broker in cluster.brokers.items() if broker.is_running())
    broker = Broker(cluster, number)
    broker.extra["controllers"] = f"[{known}@127.0.0.1:{cluster.brokers[known].peer_port}]"
    cluster.brokers[number] = broker
    broker.start()
    return broker


def standing(cluster):
    """The controller group as its leader sees it: {broker: votes}; None while there is no leader."""
    for broker in cluster.brokers.values():
        if not broker.is_running():
            continue
        for group in broker.status()["groups"]:
            if group["group"] == 1 and group["role"] == "leader":
                return {member["broker"]: member["voter"] for member in group["members"]}
    return None


def wait_for_voters(cluster, voters, members):
    wait_for(lambda: standing(cluster) == {number: number in voters for number in members},
             f"voters {voters} of {members}")


def rows(cluster):
    return {row["id"]: row for row in cluster.controller().status("/v1/cluster")["brokers"]}


def decommission(cluster, number):
    """Waits until the broker has left and ended by itself."""
    broker = cluster.brokers[number]
    broker.is_wanted = False
    cluster.tool("cluster", "decommission", number)
    wait_until_gone(cluster, number)


def wait_until_gone(cluster, number):
    broker = cluster.brokers[number]
    assert broker.ended() == 0
    assert "has left the cluster" in broker.log()
    del cluster.brokers[number]


def wipe(broker):
    broker.kill()
    shutil.rmtree(broker.directory)
    broker.start()


def votes_given(cluster, number):
    """How often the broker was made a voter of some group."""
    return cluster.all_logs().count(f"Broker {number} becomes a voter of ")


def holders(cluster, topic=TOPIC):
    return {partition: set(reports) for partition, reports in cluster.groups(topic).items()}


def prove(cluster, load):
    load.wait_for_progress()
    load.stop()
    check(cluster, load)
    wait_for(lambda: cluster.replicas_agree(TOPIC), "replicas agree")


@pytest.fixture
def three(make_cluster):
    return make_cluster(size=3, tls=False).start()


def test_three_to_five_to_three_under_load(three):
    three.create_topic(TOPIC, 6, 3)
    load = Load(three, TOPIC)
    load.wait_for_progress()
    add_broker(three, 4)
    wait_for_voters(three, {1, 2, 3}, {1, 2, 3, 4})
    three.brokers[4].kill()
    three.brokers[4].start()
    add_broker(three, 5)
    wait_for_voters(three, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5})
    three.wait_until_ready()

    leaver = three.controller().number  # it hands the controllers over first
    three.brokers[leaver].is_wanted = False
    survivor = next(number for number in three.brokers if number != leaver)
    three.tool("cluster", "decommission", leaver, "--no-wait")
    three.brokers[survivor].kill()
    load.wait_for_progress(20)
    three.brokers[survivor].start()
    wait_until_gone(three, leaver)
    others = set(three.brokers)
    wait_for(lambda: sum((standing(three) or {}).values()) == 3, "three voters of four")
    second = next(number for number in others if number not in (4, 5))
    decommission(three, second)
    rest = set(three.brokers)
    wait_for_voters(three, rest, rest)
    assert set(rows(three)) == rest
    wait_for(lambda: all(on == rest for on in holders(three).values()), "replicas on those that stay")
    prove(three, load)


def test_an_added_broker_takes_its_share(three):
    three.create_topic(TOPIC, 8, 3)
    three.create_topic("single", 3, 1)
    for partition in range(3):
        three.tool("produce", "single", "--partition", partition, stdin=f"of {partition}\n")
    load = Load(three, TOPIC)
    load.wait_for_progress()
    missing = three.tool("cluster", "add", 4, "--timeout-ms", 600, check=False)
    assert missing.returncode == 1 and "broker 4 is not in the cluster, or down: start flotillad" in missing.stderr
    assert three.tool("cluster", "add", "four", check=False).returncode == 2
    assert three.tool("cluster", "add", check=False).returncode == 2
    add_broker(three, 4)
    assert json.loads(three.tool("cluster", "add", 4, "--no-move", "-o", "json").stdout) == {
        "broker": 4, "outcome": "added", "moved": 0, "cancelled": 0}
    assert rows(three)[4]["replicas"] == 0
    assert three.tool("cluster", "add", 4).stdout == "broker 4: added, 6 replicas moved\n"  # of 27
    wait_for(lambda: rows(three)[4]["replicas"] == 6, "what moved is told by all")
    assert sum(row["replicas"] for row in rows(three).values()) == 27
    assert all(len(on) == 3 for on in holders(three).values())
    assert three.tool("cluster", "add", 4).stdout == "broker 4: added, 0 replicas moved\n"
    for partition in range(3):
        assert three.tool("consume", "single", "--partition", partition, "--exit").stdout == f"of {partition}\n"
    prove(three, load)


def test_an_interrupted_addition_goes_on(three):
    three.create_topic(TOPIC, 24, 3)
    load = Load(three, TOPIC)
    load.wait_for_progress()
    add_broker(three, 4)
    three.wait_until_ready()
    begun = three.start_tool("cluster", "add", 4)
    wait_for(lambda: rows(three)[4]["replicas"] > 0 or begun.poll() is not None, "replicas move")
    begun.kill()
    begun.wait()
    assert "broker 4: added, " in three.tool("cluster", "add", 4).stdout
    wait_for(lambda: rows(three)[4]["replicas"] == 18, "what moved is told by all")  # of 72
    assert [row["replicas"] for row in rows(three).values()] == [18] * 4
    prove(three, load)


@pytest.fixture
def held_up(three):
    """Broker 4 is new, and cannot start the replicas of one of two topics: their places are taken."""
    for topic in "stuck", "free":
        three.create_topic(topic, 6, 1)
    add_broker(three, 4)
    three.wait_until_ready()
    for place in places(three):
        place.touch()
    return three


def places(cluster):
    groups = {report["group"] for reports in cluster.groups("stuck").values() for report in reports.values()}
    return [cluster.brokers[4].directory / "groups" / str(group) for group in groups]


def moving(cluster):
    return json.loads(cluster.tool("topic", "reassign", "--list", "-o", "json").stdout)


def test_an_addition_that_gets_nowhere_ends(held_up):
    ended = held_up.tool("cluster", "add", 4, "--patience-ms", 8000, check=False)
    begun = moving(held_up)
    assert {row["topic"] for row in begun} == {"stuck"} and all(row["adding"] == [4] for row in begun)
    assert ended.returncode == 1
    assert f"broker 4: {len(begun)} replicas are being moved, and none has come for 8 s" in ended.stderr
    assert ended.stderr.count("\n") == 1
    held_up.brokers[4].kill()
    for place in places(held_up):
        place.unlink()
    held_up.brokers[4].start()
    held_up.wait_until_ready()
    held_up.tool("cluster", "add", 4)
    assert moving(held_up) == [] and rows(held_up)[4]["replicas"] > len(begun)


def test_what_is_cancelled_has_not_moved(held_up):
    addition = held_up.start_tool("cluster", "add", 4, "-o", "json", stdout=subprocess.PIPE)
    wait_for(lambda: any(4 in on for on in holders(held_up, "free").values()), "the other topic moves")
    wait_for(lambda: {row["topic"] for row in moving(held_up)} == {"stuck"}, "what can move has moved")
    cancelled = len(moving(held_up))
    held_up.tool("topic", "reassign", "stuck", "--cancel")
    told = json.loads(addition.communicate()[0])
    assert addition.returncode == 0
    assert told["cancelled"] == cancelled and told["moved"] > 0
    assert rows(held_up)[4]["replicas"] - cancelled <= told["moved"] <= rows(held_up)[4]["replicas"]


def test_a_broker_that_leaves_is_not_added(three):
    add_broker(three, 4)
    three.wait_until_ready()
    three.create_topic(TOPIC, 4, 3)
    three.brokers[3].kill()  # so that it finds no room for some replicas, and goes on leaving
    three.tool("cluster", "decommission", 4, "--no-wait")
    wait_for(lambda: rows(three)[4]["leaving"], "broker 4 leaves")
    refused = three.tool("cluster", "add", 4, check=False)
    assert refused.returncode == 1 and "flotilla cluster decommission 4 --cancel" in refused.stderr
    three.tool("cluster", "decommission", 4, "--cancel")


def test_refused_when_too_few_would_remain(three):
    three.create_topic(TOPIC, 1, 3)
    result = three.tool("cluster", "decommission", 2, check=False)
    assert result.returncode == 1
    assert f"topic {TOPIC} has 3 replicas" in result.stderr
    assert "broker 9 is not part of the cluster" in three.tool("cluster", "decommission", 9,
                                                               check=False).stderr
    assert not rows(three)[2]["leaving"]


def test_leaving_is_cancelled(three):
    add_broker(three, 4)
    three.wait_until_ready()
    three.create_topic(TOPIC, 4, 3)
    three.brokers[3].kill()  # so that replicas of three partitions find no room, and leaving waits
    three.tool("cluster", "decommission", 4, "--no-wait")
    wait_for(lambda: rows(three)[4]["leaving"], "broker 4 leaves")
    three.tool("cluster", "decommission", 4, "--cancel")
    wait_for(lambda: not rows(three)[4]["leaving"], "broker 4 stays")
    three.brokers[3].start()
    three.wait_until_ready()
    load = Load(three, TOPIC)
    prove(three, load)
    assert set(rows(three)) == {1, 2, 3, 4}


def test_a_broker_that_left_does_not_come_back_by_itself(three):
    broker = add_broker(three, 4)
    three.wait_until_ready()
    decommission(three, 4)
    broker.start()
    assert broker.ended() == 1
    assert "no longer part of the cluster" in broker.log()
    shutil.rmtree(broker.directory)  # as a new one it may
    three.brokers[4] = broker
    broker.start()
    wait_for_voters(three, {1, 2, 3}, {1, 2, 3, 4})
    three.wait_until_ready()


def test_wiped_controllers_come_back_one_after_the_other(three):
    """Each is a voter of the controller group and a replica of every partition; the leader is among them."""
    three.create_topic(TOPIC, 3, 3)
    load = Load(three, TOPIC)
    for number in (three.controller().number, 1, 2, 3):
        load.wait_for_progress()
        before = votes_given(three, number)
        wipe(three.brokers[number])
        # While one is without its votes nobody else may be: so many are those that remember.
        wait_for(lambda: votes_given(three, number) == before + 4, f"votes of broker {number} are back")
        three.wait_until_ready()
        wait_for_voters(three, {1, 2, 3}, {1, 2, 3})
        wait_for(lambda: all(on == {1, 2, 3} for on in holders(three).values()), "replicas are back")
    prove(three, load)


def test_an_older_copy_is_found_out(three):
    """The backup of a broker that votes is restored.  It takes no part, however often it is started; with an empty
    directory the broker is filled again."""
    three.create_topic(TOPIC, 3, 3)
    load = Load(three, TOPIC)
    load.wait_for_progress()
    broker = three.brokers[2]
    backup = three.directory / "backup"
    broker.stop()
    shutil.copytree(broker.directory, backup)
    broker.start()
    three.wait_until_ready()
    load.wait_for_progress()
    broker.kill()
    shutil.rmtree(broker.directory)
    shutil.copytree(backup, broker.directory)
    for _ in range(3):
        broker.start()
        assert broker.ended() == 1
    assert broker.log().count("is an older copy of itself") >= 3
    assert "start the broker with an empty one" in broker.log()
    before = votes_given(three, 2)
    shutil.rmtree(broker.directory)
    broker.start()
    wait_for(lambda: votes_given(three, 2) == before + 4, "votes of broker 2 are back")
    three.wait_until_ready()
    prove(three, load)


def test_a_wiped_controller_alone_does_not_found_a_second_cluster(three):
    three.create_topic(TOPIC, 1, 3)
    load = Load(three, TOPIC)
    load.wait_for_progress()
    load.stop()
    for broker in three.brokers.values():
        broker.kill()
    for number in (1, 2):
        shutil.rmtree(three.brokers[number].directory)
        three.brokers[number].start()
    # Two that remember nothing are a majority, and all of it is on the third one's disk.
    wait_for(lambda: three.brokers[1].log_has("not known yet") and three.brokers[2].log_has("not known yet"),
             "both wait for the third")
    assert three.brokers[1].status()["groups"] == []
    three.brokers[3].start()
    wait_for(lambda: three.brokers[1].log_has("Starting") or
             all(any(g["group"] == 1 for g in b.status()["groups"]) for b in three.brokers.values()),
             "they join it")
    assert standing(three) is None, "no leader without a majority that remembers"




def test_leaders_return_to_the_preferred_brokers(make_cluster):
    cluster = make_cluster(size=3, tls=False, leader_balance_delay_ms=500).start()
    cluster.create_topic(TOPIC, 9, 3)

    def leaders():
        return [row["leaders"] for row in rows(cluster).values()]

    wait_for(lambda: leaders() == [3, 3, 3], "leaders are even")
    for broker in cluster.brokers.values():  # a rolling restart, which leaves the last one without
        assert broker.stop() == 0
        broker.start()
        cluster.wait_until_ready()
    wait_for(lambda: leaders() == [3, 3, 3], "leaders are even again")
    assert sum(broker.metric("flotilla_leaders_handed_over_total")
               for broker in cluster.brokers.values()) >= 3


def test_brokers_that_took_over_from_the_founders_find_each_other_again(three):
    """Their configs name founders only, which are gone; after a power cut nobody is left to tell them anything."""
    three.create_topic(TOPIC, 3, 3)
    load = Load(three, TOPIC)
    for number in (4, 5, 6):
        add_broker(three, number)
        three.wait_until_ready()
    for number in (1, 2, 3):
        load.wait_for_progress()
        decommission(three, number)
    wait_for_voters(three, {4, 5, 6}, {4, 5, 6})
    for broker in three.brokers.values():
        broker.kill()
    for broker in three.brokers.values():
        broker.start()
    three.wait_until_ready()
    prove(three, load)
