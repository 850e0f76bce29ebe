"""Consumer groups with real clients: members come and go, offsets stay, coordinators die."""
import json
import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from cluster import wait_for

OFFSETS_TOPIC = "__consumer_offsets"


class Member(threading.Thread):
    """One consumer of a group in a thread of its own; counts what it was given, and commits it."""

    def __init__(self, cluster, group, topic, seen, instance=None, strategy="range", **more):
        super().__init__(daemon=True)
        options = {"bootstrap.servers": cluster.bootstrap, "group.id": group,
                   "auto.offset.reset": "earliest", "enable.auto.commit": False,
                   "session.timeout.ms": 6000, "heartbeat.interval.ms": 300,
                   "partition.assignment.strategy": strategy, **more}
        if instance:
            options["group.instance.id"] = instance
        self.consumer = Consumer(options)
        self.topic = topic
        self.seen = seen
        self.wanted = True
        self.assigned = set()
        self.assignments = 0
        self.committed = {}
        self.commit_times = []
        self.regressions = []
        self.start()

    def on_assign(self, _consumer, partitions):
        self.assignments += 1
        self.assigned |= {p.partition for p in partitions}
        if not self.wanted:
            return  # it is being closed, and cannot ask any more
        for partition in self.consumer.committed(partitions, timeout=20):
            known = self.committed.get(partition.partition, -1)
            if partition.offset >= 0 and partition.offset < known:
                self.regressions.append((partition.partition, known, partition.offset))

    def on_revoke(self, _consumer, partitions):
        self.assigned -= {p.partition for p in partitions}

    def run(self):
        self.consumer.subscribe([self.topic], on_assign=self.on_assign, on_revoke=self.on_revoke,
                                on_lost=self.on_revoke)
        while self.wanted:
            message = self.consumer.poll(0.2)
            if message is None or message.error():
                continue
            self.seen.setdefault(message.partition(), []).append(message.value().decode())
            try:
                for done in self.consumer.commit(message, asynchronous=False):
                    self.committed[done.partition] = max(done.offset,
                                                         self.committed.get(done.partition, -1))
                self.commit_times.append(time.monotonic())
            except KafkaException:
                pass  # a rebalance, or no coordinator at the moment: the message is seen again

    def stop(self):
        self.wanted = False
        self.join(20)
        assert not self.is_alive()
        self.consumer.close()

    def crash(self):
        """Neither leaves nor commits."""
        self.wanted = False
        self.join(20)


@pytest.fixture
def members():
    """Ends those that a failed test leaves."""
    running = []
    yield running
    for member in running:
        member.wanted = False


def fast_groups(make_cluster, **options):
    """One partition of __consumer_offsets: its leader coordinates every group."""
    return make_cluster(group_initial_rebalance_delay_ms=0, offsets_topic_partitions=1,
                        **options).start()


def produce(cluster, topic, first, count, partitions=4):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True})
    for i in range(first, first + count):
        producer.produce(topic, str(i), partition=i % partitions)
    assert producer.flush(30) == 0


def values(seen):
    return {int(value) for each in list(seen.values()) for value in list(each)}


def committed_offsets(cluster, group, topic, partitions=4):
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group})
    asked = [TopicPartition(topic, partition) for partition in range(partitions)]
    offsets = [partition.offset for partition in consumer.committed(asked, timeout=20)]
    consumer.close()
    return offsets


def share_of(members):
    return sorted(partition for member in members for partition in list(member.assigned))


def start_members(cluster, members, group, topic, seen, count, **options):
    started = [Member(cluster, group, topic, seen, **options) for _ in range(count)]
    members += started
    wait_for(lambda: share_of(started) == [0, 1, 2, 3] and
             all(len(member.assigned) == 4 // count for member in started), "all have their share")
    return started


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_members_share_the_partitions_and_go_on_where_others_stopped(make_cluster, members, strategy):
    cluster = fast_groups(make_cluster)
    cluster.create_topic("work", partitions=4)
    produce(cluster, "work", 0, 200)
    seen = {}
    first, second = start_members(cluster, members, "readers", "work", seen, 2, strategy=strategy)
    wait_for(lambda: values(seen) == set(range(200)), "everything is read")
    second.stop()
    wait_for(lambda: first.assigned == {0, 1, 2, 3}, "the other takes over")
    produce(cluster, "work", 200, 100)
    wait_for(lambda: values(seen) == set(range(300)), "the rest is read")
    wait_for(lambda: committed_offsets(cluster, "readers", "work") == [75] * 4, "all is committed")
    first.stop()
    assert not first.regressions and not second.regressions


def test_a_static_member_that_restarts_causes_no_rebalance(make_cluster, members):
    cluster = fast_groups(make_cluster, size=1, tls=False)
    cluster.create_topic("work", partitions=4)
    seen = {}
    stays = Member(cluster, "readers", "work", seen, instance="a")
    members.append(stays)
    wait_for(lambda: len(stays.assigned) == 4, "it has everything")
    leaves = Member(cluster, "readers", "work", seen, instance="b")
    members.append(leaves)
    wait_for(lambda: share_of([stays, leaves]) == [0, 1, 2, 3] and len(leaves.assigned) == 2, "two share")
    before = stays.assignments
    share = set(leaves.assigned)
    leaves.stop()  # a static member does not say that it leaves
    again = Member(cluster, "readers", "work", seen, instance="b")
    members.append(again)
    wait_for(lambda: again.assigned == share, "it has its partitions again")
    produce(cluster, "work", 0, 40)
    wait_for(lambda: values(seen) == set(range(40)), "both read")
    assert stays.assignments == before
    for member in (stays, again):
        member.stop()


def test_the_loss_of_a_coordinator_costs_neither_commits_nor_members(make_cluster, members):
    cluster = fast_groups(make_cluster)
    cluster.create_topic("work", partitions=4)
    produce(cluster, "work", 0, 40)
    seen = {}
    started = start_members(cluster, members, "readers", "work", seen, 4)
    produced = 40
    for end in ("kill", "stop", "kill"):
        wait_for(lambda: values(seen) == set(range(produced)), "everything so far is read")
        before = [member.assignments for member in started]
        coordinator = cluster.leader_of(OFFSETS_TOPIC)
        getattr(coordinator, end)()
        produce(cluster, "work", produced, 40)
        produced += 40
        wait_for(lambda: values(seen) == set(range(produced)), "reading goes on without it")
        assert [member.assignments for member in started] == before, "no rebalance"
        coordinator.start()
        cluster.wait_until_ready()
    expected = [produced // 4] * 4
    wait_for(lambda: committed_offsets(cluster, "readers", "work") == expected, "all is committed")
    for member in started:
        member.stop()
        assert not member.regressions


def test_groups_survive_the_end_of_all_brokers(make_cluster, members):
    cluster = fast_groups(make_cluster)
    cluster.create_topic("work", partitions=4)
    produce(cluster, "work", 0, 40)
    seen = {}
    (member,) = start_members(cluster, members, "readers", "work", seen, 1)
    wait_for(lambda: committed_offsets(cluster, "readers", "work") == [10] * 4, "all is committed")
    for broker in cluster.brokers.values():
        broker.kill()
    for broker in cluster.brokers.values():
        broker.start()
    cluster.wait_until_ready()
    produce(cluster, "work", 40, 40)
    wait_for(lambda: values(seen) == set(range(80)), "it reads on")
    wait_for(lambda: committed_offsets(cluster, "readers", "work") == [20] * 4, "and commits")
    assert member.assignments == 1
    member.stop()


def test_administration_of_groups(make_cluster):
    cluster = fast_groups(make_cluster, size=1, tls=False)
    cluster.create_topic("work", partitions=4)
    produce(cluster, "work", 0, 40)
    consumer = KafkaConsumer("work", bootstrap_servers=cluster.bootstrap, group_id="readers",
                             auto_offset_reset="earliest", enable_auto_commit=False,
                             consumer_timeout_ms=15000)
    for _ in range(40):
        next(consumer)
    consumer.commit()
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    assert ("readers", "consumer") in admin.list_consumer_groups()
    (described,) = admin.describe_consumer_groups(["readers"])
    assert described.state == "Stable"
    assert len(described.members) == 1
    assert described.members[0].client_host == "/127.0.0.1"
    offsets = admin.list_consumer_group_offsets("readers")
    assert {key.partition: value.offset for key, value in offsets.items()} == {n: 10 for n in range(4)}
    (refused,) = admin.delete_consumer_groups(["readers"])
    assert refused[1].__name__ == "NonEmptyGroupError"
    consumer.close()
    wait_for(lambda: admin.describe_consumer_groups(["readers"])[0].state == "Empty", "nobody is in it")
    (deleted,) = admin.delete_consumer_groups(["readers"])
    assert deleted[1].__name__ == "NoError"
    assert admin.describe_consumer_groups(["readers"])[0].state == "Dead"
    assert committed_offsets(cluster, "readers", "work") == [-1001] * 4
    admin.close()


def test_the_offsets_topic_is_internal_and_in_kafkas_format(make_cluster):
    cluster = fast_groups(make_cluster, size=1, tls=False)
    cluster.create_topic("work", partitions=4)
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "readers"})
    consumer.commit(offsets=[TopicPartition("work", 3, 17)], asynchronous=False)
    consumer.close()
    raw = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "raw"})
    raw.assign([TopicPartition(OFFSETS_TOPIC, 0, 0)])
    message = wait_for(lambda: raw.poll(0.5), "a record")
    key = b"\0\1" + b"\0\7readers" + b"\0\4work" + b"\0\0\0\3"
    assert message.key() == key
    assert message.value()[:10] == b"\0\3" + (17).to_bytes(8, "big")
    raw.close()
    described = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    (topic,) = described.describe_topics([OFFSETS_TOPIC])
    assert topic["is_internal"] and len(topic["partitions"]) == 1
    (answer,) = described.describe_configs([ConfigResource(ConfigResourceType.TOPIC, OFFSETS_TOPIC)])
    configs = {row[0]: row[1] for row in answer.resources[0][4]}
    assert configs["cleanup.policy"] == "compact"
    described.close()


def test_the_tool_shows_resets_and_deletes_groups(make_cluster, members):
    cluster = fast_groups(make_cluster)
    cluster.create_topic("work", partitions=4)
    produce(cluster, "work", 0, 40)
    seen = {}
    (member,) = start_members(cluster, members, "readers", "work", seen, 1)
    wait_for(lambda: committed_offsets(cluster, "readers", "work") == [10] * 4, "all is committed")
    assert cluster.tool("group", "list").stdout.split() == ["Stable", "readers"]
    shown = json.loads(cluster.tool("group", "describe", "readers", "-o", "json").stdout)
    assert shown["state"] == "Stable"
    assert [len(m["assigned"]) for m in shown["members"]] == [4]
    assert [(row["offset"], row["end"], row["lag"]) for row in shown["offsets"]] == [(10, 10, 0)] * 4
    refused = cluster.tool("group", "delete", "readers", check=False)
    assert refused.returncode == 1 and "not empty" in refused.stderr.lower(), refused.stderr
    member.stop()
    cluster.tool("group", "reset-offsets", "readers", "--topic", "work", "--partition", "2",
                 "--to", "beginning")
    assert committed_offsets(cluster, "readers", "work") == [10, 10, 0, 10]
    assert "10            0" in cluster.tool("group", "describe", "readers").stdout
    beyond = cluster.tool("group", "reset-offsets", "readers", "--topic", "work", "--to", "11",
                          check=False)
    assert beyond.returncode == 1 and "0" in beyond.stderr and "10" in beyond.stderr
    cluster.tool("group", "delete", "readers")
    assert cluster.tool("group", "list").stdout == ""


def test_the_tool_consumes_as_a_member(make_cluster):
    cluster = make_cluster(size=1, tls=False, group_initial_rebalance_delay_ms=0).start()
    cluster.create_topic("t", partitions=2)

    def consume(*arguments, check=True):
        return cluster.tool("consume", "t", *arguments, check=check)
    for partition in (0, 1):
        cluster.tool("produce", "t", "--partition", partition, stdin=f"a{partition}\nb{partition}\n")
    assert sorted(consume("--group", "g", "--exit").stdout.split()) == ["a0", "a1", "b0", "b1"]
    assert consume("--group", "g", "--exit").stdout == ""  # it goes on where it was
    cluster.tool("produce", "t", "--partition", 1, stdin="c1\nd1\n")
    assert consume("--group", "g", "--count", "1").stdout == "c1\n"
    assert consume("--group", "g", "--exit").stdout == "d1\n"
    assert consume("--group", "other", "--offset", "end", "--exit").stdout == ""
    described = json.loads(cluster.tool("group", "describe", "g", "-o", "json").stdout)
    assert [(row["offset"], row["lag"]) for row in sorted(described["offsets"], key=lambda r: r["partition"])] == [
        (2, 0), (4, 0)]
    for arguments, text in ((("--group", "g", "--partition", "1"), "divided among its members"),
                            (("--group", "g", "--offset", "7"), "beginning or end"),
                            (("--group", ""), "a group has a name")):
        result = consume(*arguments, check=False)
        assert result.returncode == 2 and text in result.stderr
    result = cluster.tool("consume", "no-such-topic", "--group", "g", "--exit", check=False)
    assert result.returncode == 1 and "no-such-topic" in result.stderr


def test_pitfall_19_what_was_deleted_is_no_lag(make_cluster):
    cluster = make_cluster(size=1, tls=False, group_initial_rebalance_delay_ms=0, retention_check_ms=200).start()
    cluster.create_topic("t", config="segment.bytes=2000")
    cluster.tool("produce", "t", stdin="x" * 900 + "\n")
    cluster.tool("consume", "t", "--group", "g", "--exit")

    def described():
        return json.loads(cluster.tool("group", "describe", "g", "-o", "json").stdout)["offsets"][0]
    assert (described()["offset"], described()["lag"]) == (1, 0)
    for _ in range(20):
        cluster.tool("produce", "t", stdin="x" * 900 + "\n")
    assert described()["lag"] == 20
    cluster.tool("topic", "configure", "t", "retention.bytes=4000")
    first = wait_for(lambda: (lambda row: row["start_offset"] if row["start_offset"] > 5 else 0)(
        json.loads(cluster.tool("topic", "describe", "t", "-o", "json").stdout)["partitions"][0]), "old segments go")
    assert described()["end"] == 21 and described()["lag"] <= 21 - first
