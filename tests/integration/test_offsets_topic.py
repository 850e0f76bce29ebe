"""__consumer_offsets as others read it: a plain consumer from its beginning, after it was compacted."""
import struct
import time

from cluster import wait_for
from kafka import KafkaConsumer, TopicPartition
from messages import Client
from test_configs import TOPIC, set_via

OFFSETS_TOPIC = "__consumer_offsets"
GROUP_ID_NOT_FOUND = 69
PARTITIONS = 4
KEPT = ["readers", "writers", "auditors"]
DELETED = "gone"


class Text:
    """Reads Kafka's classic encoding."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values[0]

    def string(self):
        length = self.take(">h")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def ends(self):
        return self.at == len(self.data)


def read_key(data):
    """(group, topic, partition) of a commit, (group,) of what a group is."""
    text = Text(data)
    version = text.take(">h")
    if version == 2:
        key = (text.string(),)
    else:
        assert version in (0, 1)
        key = (text.string(), text.string(), text.take(">i"))
    assert text.ends()
    return key


def read_commit(data):
    """(offset, leader epoch, metadata) of version 3, the newest that every reader of Kafka's knows."""
    text = Text(data)
    assert text.take(">h") == 3
    commit = (text.take(">q"), text.take(">i"), text.string())
    assert abs(text.take(">q") / 1000 - time.time()) < 3600
    assert text.ends()
    return commit


class Committer:
    """Commits offsets as groups without members do, to whoever coordinates them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.client = None
        self.number = 0
        self.newest = {}

    def ask(self, name, version, **fields):
        """The answer, or None when it has to be asked again, perhaps elsewhere."""
        try:
            if self.client is None:
                running = next(b for b in self.cluster.brokers.values() if b.is_running())
                found = Client(running.kafka_port).ask("find_coordinator", 4, key_type=0, coordinator_keys=KEPT[:1])
                (coordinator,) = found["coordinators"]
                if coordinator["error_code"] != 0:
                    return None
                self.client = Client(coordinator["port"])
            return self.client.ask(name, version, **fields)
        except (OSError, EOFError):
            self.client = None
            return None

    def commit(self, group):
        self.number += 1
        commits = {partition: (self.number * 10 + partition, 3, f"note {self.number}")
                   for partition in range(PARTITIONS)}

        def committed():
            answer = self.ask("offset_commit", 7, group_id=group, topics=[{"name": "work", "partitions": [
                {"partition_index": partition, "committed_offset": offset, "committed_leader_epoch": epoch,
                 "committed_metadata": note} for partition, (offset, epoch, note) in commits.items()]}])
            errors = {each["error_code"] for topic in answer["topics"] for each in topic["partitions"]} if answer else {1}
            if errors != {0}:
                self.client = None
                time.sleep(0.05)
            return errors == {0}
        wait_for(committed, f"{group} commits")
        self.newest.update({(group, "work", partition): commit for partition, commit in commits.items()})

    def delete(self, group):
        def deleted():
            answer = self.ask("delete_groups", 1, groups_names=[group])
            errors = [each["error_code"] for each in answer["results"]] if answer else [1]
            if errors not in ([0], [GROUP_ID_NOT_FOUND]):  # an answer may have been lost
                self.client = None
                time.sleep(0.05)
                return False
            return True
        wait_for(deleted, f"{group} is deleted")
        self.newest = {key: commit for key, commit in self.newest.items() if key[0] != group}

    def told(self, group):
        """partition -> (offset, metadata) as the coordinator tells it."""
        def fetched():
            answer = self.ask("offset_fetch", 5, group_id=group, topics=[
                {"name": "work", "partition_indexes": list(range(PARTITIONS))}])
            if not answer or answer["error_code"] != 0:
                self.client = None
                return None
            (topic,) = answer["topics"]
            return {each["partition_index"]: (each["committed_offset"], each["metadata"])
                    for each in topic["partitions"]}
        return wait_for(fetched, f"what {group} committed")


def read_all(cluster):
    """Every record of the partition, as a plain consumer gets them."""
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=None, enable_auto_commit=False,
                             exclude_internal_topics=False)
    partition = TopicPartition(OFFSETS_TOPIC, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    records = []

    def read():
        for batch in consumer.poll(timeout_ms=200).values():
            records.extend(batch)
        return consumer.position(partition) >= end
    wait_for(read, "the consumer comes to the end")
    consumer.close()
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets)) and offsets[-1] == end - 1
    return records, end


def removed(broker, what):
    return broker.metric(f"flotilla_compaction_removed_{what}_total")


def restart_cleanly(cluster, broker):
    """Which leaves a snapshot of its consumer groups."""
    broker.stop()
    broker.start()
    cluster.wait_until_ready()


def test_a_plain_consumer_reads_the_compacted_offsets_topic_from_its_beginning(make_cluster):
    cluster = make_cluster(compaction_check_ms=50, offsets_topic_partitions=1).start()
    cluster.create_topic("work", partitions=PARTITIONS)
    committer = Committer(cluster)
    for group in KEPT + [DELETED]:
        committer.commit(group)
    any_broker = Client(cluster.brokers[1].kafka_port)
    for config, value in (("segment.bytes", "16384"), ("min.cleanable.dirty.ratio", "0.01"),
                          ("delete.retention.ms", "200")):
        set_via(any_broker, TOPIC, OFFSETS_TOPIC, config, value)
    for broker in cluster.brokers.values():
        restart_cleanly(cluster, broker)
    committer.delete(DELETED)

    def go_on():
        for _ in range(20):
            for group in KEPT:
                committer.commit(group)
        return all(removed(broker, "records") > 500 and removed(broker, "tombstones") >= PARTITIONS
                   for broker in cluster.brokers.values())
    wait_for(go_on, "every replica is compacted, and the deleted group's tombstones are gone")

    records, end = read_all(cluster)
    assert len(records) < end - 500
    last = {read_key(record.key): record.value for record in records}
    held = {key: read_commit(value) for key, value in last.items() if len(key) == 3}
    assert held == committer.newest
    assert not [key for key in last if key[0] == DELETED]

    # Whoever starts from an old snapshot does not bring back what was deleted.
    for broker in cluster.brokers.values():
        broker.kill()
    for broker in cluster.brokers.values():
        broker.start()
    cluster.wait_until_ready()
    committer.client = None
    assert committer.told(DELETED) == {partition: (-1, "") for partition in range(PARTITIONS)}
    for group in KEPT:
        assert committer.told(group) == {partition: committer.newest[group, "work", partition][::2]
                                         for partition in range(PARTITIONS)}
