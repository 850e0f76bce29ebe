"""Partitions are moved to other brokers under acknowledged load, while brokers are killed: nothing that was
acknowledged is lost, what was left behind is removed, and a broker that comes back begins anew."""
import json
import os

import pytest

from cluster import wait_for
from load import Load, check

TOPIC = "moved"


@pytest.fixture
def five(make_cluster):
    cluster = make_cluster(size=5)
    return cluster.start()


def create(cluster, replicas, name=TOPIC):
    cluster.create_topic(name, 1, len(replicas))
    reassign(cluster, replicas, name=name)


def ask(cluster, replicas, name=TOPIC):
    cluster.tool("topic", "reassign", name, "--replicas", ",".join(map(str, replicas)))


def moving(cluster):
    result = cluster.tool("topic", "reassign", "--list", "-o", "json", check=False)
    return json.loads(result.stdout) if result.returncode == 0 else [None]


def holders(cluster, name=TOPIC):
    """Who runs a replica of the first partition."""
    return set(cluster.groups(name).get(0, {}))


def directories(cluster, group):
    return {number for number, broker in cluster.brokers.items()
            if (broker.directory / "groups" / str(group)).exists()}


def group_of(cluster, name=TOPIC):
    return next(iter(cluster.groups(name)[0].values()))["group"]


def is_settled(cluster, replicas, name=TOPIC):
    """Those brokers are the members that vote, nobody else has anything of it."""
    reports = cluster.groups(name).get(0, {})
    leading = [report for report in reports.values() if report["role"] == "leader"]
    if moving(cluster) or set(reports) != set(replicas) or len(leading) != 1:
        return False
    members = {member["broker"]: member["voter"] for member in leading[0]["members"]}
    return (members == {number: True for number in replicas}
            and directories(cluster, leading[0]["group"]) == set(replicas))


def reassign(cluster, replicas, name=TOPIC):
    ask(cluster, replicas, name)
    wait_until_settled(cluster, replicas, name)


def wait_until_settled(cluster, replicas, name=TOPIC):
    wait_for(lambda: is_settled(cluster, replicas, name), f"{name} on {replicas}")


def restart(broker):
    broker.kill()
    broker.start()


def test_move_away_and_back(five):
    create(five, [1, 2, 3])
    group = group_of(five)
    load = Load(five, TOPIC)
    try:
        load.wait_for_progress()
        reassign(five, [3, 4, 5])
        load.wait_for_progress()
        assert directories(five, group) == {3, 4, 5}
        reassign(five, [1, 2, 3])  # to brokers that have a tombstone of it
        load.wait_for_progress()
        for broker in five.brokers.values():
            restart(broker)
        five.wait_until_ready()
        wait_until_settled(five, [1, 2, 3])
    finally:
        load.stop()
    check(five, load)
    wait_for(lambda: five.replicas_agree(TOPIC), "replicas agree")


def test_replication_factor_up_and_down(five):
    create(five, [1])
    load = Load(five, TOPIC)
    try:
        load.wait_for_progress()
        reassign(five, [2, 4, 1])
        load.wait_for_progress()
        reassign(five, [4])
        load.wait_for_progress()
        reassign(five, [1])
        load.wait_for_progress()
    finally:
        load.stop()
    check(five, load)


def victims(cluster):
    return {
        "leader": lambda: cluster.leader_of(TOPIC),
        "newcomer": lambda: cluster.brokers[5],
        "old": lambda: cluster.brokers[1],
        "controller": cluster.controller,
    }


@pytest.mark.parametrize("victim", ["leader", "newcomer", "old", "controller"])
def test_kill_in_the_middle(five, victim):
    create(five, [1, 2, 3])
    load = Load(five, TOPIC)
    try:
        load.wait_for_progress()
        ask(five, [3, 4, 5])
        wait_for(lambda: 5 in holders(five) or not moving(five), "it has begun")
        restart(victims(five)[victim]())
        five.wait_until_ready()
        load.wait_for_progress()
        wait_until_settled(five, [3, 4, 5])
        load.wait_for_progress()
    finally:
        load.stop()
    check(five, load)
    wait_for(lambda: five.replicas_agree(TOPIC), "replicas agree")


def test_cancel(five):
    """A reassignment onto a broker that does not run waits for it, and is taken back."""
    create(five, [1, 2, 3])
    load = Load(five, TOPIC)
    try:
        load.wait_for_progress()
        five.brokers[5].kill()
        wait_for(lambda: five.live_count() == 4, "broker 5 is missed")
        ask(five, [3, 4, 5])
        wait_for(lambda: 4 in holders(five), "broker 4 has begun")
        load.wait_for_progress()
        [row] = moving(five)
        assert row["adding"] == [4, 5] and set(row["removing"]) == {1, 2}
        five.tool("topic", "reassign", TOPIC, "--cancel")
        load.wait_for_progress()
        five.brokers[5].start()
        five.wait_until_ready()
        wait_until_settled(five, [1, 2, 3])
        result = five.tool("topic", "reassign", TOPIC, "--cancel", check=False)
        assert "is not being moved" in result.stderr
    finally:
        load.stop()
    check(five, load)


def test_a_broker_that_missed_it_all(five):
    """It was away while the partition moved and was deleted elsewhere; what it has is no danger."""
    create(five, [1, 2, 3])
    load = Load(five, TOPIC)
    try:
        load.wait_for_progress()
        five.brokers[3].kill()
        ask(five, [4, 5])
        wait_for(lambda: holders(five) == {4, 5}, "moved")
        load.wait_for_progress()
        five.brokers[3].start()
        five.wait_until_ready()
        wait_until_settled(five, [4, 5])
    finally:
        load.stop()
    check(five, load)


def test_a_damaged_replica_whose_place_is_gone_is_removed(five):
    """Nobody replaces it, and it cannot be opened: it goes as any other that was left behind."""
    create(five, [1, 2, 3])
    load = Load(five, TOPIC)
    load.wait_for_progress()
    load.stop()
    broker = five.brokers[3]
    group = group_of(five)
    assert broker.stop() == 0
    newest = max((broker.directory / "groups" / str(group)).glob("*.log"))
    os.truncate(newest, newest.stat().st_size - 7)  # a stop that ended well has said where the log ends
    ask(five, [4, 5])
    wait_for(lambda: holders(five) == {4, 5}, "moved")
    broker.start()
    five.wait_until_ready()
    wait_until_settled(five, [4, 5])
    assert broker.log_has(f"group {group}: not served any more")
    assert broker.metric("flotilla_raft_groups", 'role="failed"') == 0
    check(five, load)


def test_deleted_while_it_moves(five):
    create(five, [1, 2, 3])
    group = group_of(five)
    five.brokers[5].kill()
    wait_for(lambda: five.live_count() == 4, "broker 5 is missed")
    ask(five, [3, 4, 5])
    wait_for(lambda: 4 in holders(five), "broker 4 has begun")
    five.tool("topic", "delete", TOPIC)
    five.brokers[5].start()
    five.wait_until_ready()
    wait_for(lambda: not directories(five, group) and not five.groups(TOPIC), "nothing is left of it")
    assert moving(five) == []


def test_refusals(five):
    five.create_topic(TOPIC, 2, 2)
    for arguments, words in [
            (["--replicas", "1,9"], "broker 9, which is not part of the cluster"),
            (["--replicas", "1,1"], "twice"),
            (["--replicas", "1", "--partition", "7"], "no such partition"),
            (["--cancel", "--partition", "0"], "is not being moved")]:
        result = five.tool("topic", "reassign", TOPIC, *arguments, check=False)
        assert result.returncode == 1 and words in result.stderr, result.stderr
    result = five.tool("topic", "reassign", "absent", "--replicas", "1", "--partition", "0", check=False)
    assert result.returncode == 1
    assert five.tool("topic", "reassign", TOPIC, check=False).returncode == 2
    five.tool("topic", "reassign", TOPIC, "--replicas", "3,4,5", "--replication-factor", "2", "--wait")
    wait_for(lambda: set(five.groups(TOPIC)[0]) == {3, 4} and set(five.groups(TOPIC)[1]) == {4, 5},
             "both partitions moved")
