"""Twenty members of a consumer group, while the brokers beneath them die or restart."""
import threading
import time

import pytest
from confluent_kafka import Producer

from cluster import wait_for
from messages import Client
from test_groups import OFFSETS_TOPIC, Member, fast_groups

MEMBERS = PARTITIONS = 20
GROUP = "readers"
# A client that was refused by a broker that was down shall not wait for seconds when that one leads again; and that
# brokers die here need not be told.
QUICK = {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100, "log_level": 0}
# Twenty clients in one busy process: their silence shall not be taken for their end.
PATIENT = {"session.timeout.ms": 45000, "heartbeat.interval.ms": 1000}


class Offsets(threading.Thread):
    """Asks again and again what the group has committed: it never goes back, nor is it less than what a member was
    told is committed."""

    def __init__(self, cluster, members):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.members = members
        self.seen = {}
        self.looks = 0
        self.faults = []
        self.wanted = True
        self.start()

    def acknowledged(self):
        offsets = {}
        for member in self.members:
            for partition, offset in list(member.committed.items()):
                offsets[partition] = max(offset, offsets.get(partition, -1))
        return offsets

    def look(self, client):
        least = {p: max(self.acknowledged().get(p, -1), self.seen.get(p, -1)) for p in range(PARTITIONS)}
        answer = client.ask("offset_fetch", 5, group_id=GROUP, topics=[
            {"name": "work", "partition_indexes": list(range(PARTITIONS))}])
        if answer["error_code"] != 0:
            return False  # no coordinator, or not this one
        for row in answer["topics"][0]["partitions"]:
            partition, offset = row["partition_index"], row["committed_offset"]
            if row["error_code"] != 0 or offset < least[partition]:
                self.faults.append((partition, least[partition], row))
            self.seen[partition] = max(offset, least[partition])
        self.looks += 1
        return True

    def run(self):
        while self.wanted:
            for broker in self.cluster.brokers.values():
                try:
                    with Client(broker.kafka_port) as client:
                        while self.wanted and self.look(client):
                            time.sleep(0.05)
                except (OSError, EOFError):
                    pass  # it is down
            time.sleep(0.05)

    def stop(self):
        self.wanted = False
        self.join(60)
        assert not self.faults, self.faults[:3]
        assert self.looks > 0


class Source(threading.Thread):
    """Produces numbers to the partitions in turn until it is stopped."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "linger.ms": 5,
                                  **QUICK})
        self.count = 0
        self.failed = []
        self.wanted = True
        self.start()

    def on_delivery(self, error, _message):
        if error is not None:
            self.failed.append(str(error))

    def run(self):
        while self.wanted:
            self.producer.produce("work", str(self.count), partition=self.count % PARTITIONS,
                                  on_delivery=self.on_delivery)
            self.count += 1
            self.producer.poll(0)
            time.sleep(0.002)
        self.producer.flush(60)

    def stop(self):
        self.wanted = False
        self.join(90)
        assert not self.failed, self.failed[:3]
        return self.count


class Readers:
    """The group, what it read, and what stands in the log."""

    def __init__(self, cluster, started):
        self.cluster = cluster
        self.seen = {}
        self.members = started
        started += [Member(cluster, GROUP, "work", self.seen, **QUICK, **PATIENT) for _ in range(MEMBERS)]
        wait_for(lambda: sorted(p for m in started for p in list(m.assigned)) == list(range(PARTITIONS)) and
                 all(len(m.assigned) == 1 for m in started), "all have their share")
        self.source = Source(cluster)
        self.offsets = Offsets(cluster, started)
        self.wait_for_progress()

    def count(self):
        return {partition: len(self.seen.get(partition, ())) for partition in range(PARTITIONS)}

    def wait_for_progress(self, amount=10):
        """So many more messages of every partition."""
        before = self.count()
        wait_for(lambda: all(self.count()[p] >= before[p] + amount for p in before), "every member reads")

    def member_count(self):
        for broker in self.cluster.brokers.values():
            with Client(broker.kafka_port) as client:
                (group,) = client.ask("describe_groups", 4, groups=[GROUP])["groups"]
                if group["error_code"] == 0:
                    return len(group["members"]) if group["group_state"] == "Stable" else 0
        return 0

    def end(self):
        """Everything that was produced is read: nothing lost, and in each partition nothing skipped."""
        produced = self.source.stop()
        for partition in range(PARTITIONS):
            wanted = [str(number) for number in range(partition, produced, PARTITIONS)]
            wait_for(lambda: set(self.seen.get(partition, [])) >= set(wanted), f"partition {partition} is read")
            newest = -1
            for value in self.seen[partition]:
                assert int(value) <= newest + PARTITIONS or newest < 0, f"{partition}: {newest} and then {value}"
                newest = max(newest, int(value))
            assert set(self.seen[partition]) == set(wanted)
        self.offsets.stop()
        wait_for(lambda: self.member_count() == MEMBERS, "all members are there")
        for member in self.members:
            member.wanted = False  # all at once, so that none takes over what others leave
        for member in self.members:
            assert not member.regressions
            member.stop()


@pytest.fixture
def started():
    members = []
    yield members
    for member in members:
        member.wanted = False


def test_twenty_members_go_on_when_their_coordinator_is_killed(make_cluster, started):
    cluster = fast_groups(make_cluster)
    cluster.create_topic("work", partitions=PARTITIONS, replication=3)
    readers = Readers(cluster, started)
    before = [member.assignments for member in started]
    for _ in range(2):
        coordinator = cluster.leader_of(OFFSETS_TOPIC)
        coordinator.kill()
        readers.wait_for_progress()
        coordinator.start()
        cluster.wait_until_ready()
        readers.wait_for_progress()
    assert [member.assignments for member in started] == before, "no member was lost, nobody rebalanced"
    readers.end()


def test_twenty_members_go_on_through_a_rolling_restart(make_cluster, started):
    cluster = fast_groups(make_cluster)
    cluster.create_topic("work", partitions=PARTITIONS, replication=3)
    readers = Readers(cluster, started)
    for broker in cluster.brokers.values():
        assert broker.stop() == 0
        readers.wait_for_progress()
        broker.start()
        cluster.wait_until_ready()
        readers.wait_for_progress()
    readers.end()
