"""Compacted topics on real brokers: whatever is killed while they are compacted, every key's last value
is there at its offset on every replica, and nothing is there that was not produced.

FLOTILLA_COMPACTION_RECORDS says how many records the large test writes (100 to a key)."""
import os
import pathlib
import random
import shutil
import struct
import time
import zlib

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from cluster import PATIENCE_SECONDS, wait_for

RECORDS = int(os.environ.get("FLOTILLA_COMPACTION_RECORDS", "60000"))
HEAD = struct.Struct(">qiibIhiqqqhii")


class Varints:
    """Reads the records of a batch."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def number(self):
        value = shift = 0
        while True:
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if not byte & 0x80:
                return (value >> 1) ^ -(value & 1)

    def part(self):
        length = self.number()
        if length < 0:
            return None
        self.position += length
        return self.data[self.position - length:self.position]


def batches_of(data):
    position = 0
    while position + HEAD.size <= len(data):
        head = HEAD.unpack_from(data, position)
        total = head[1] + 12
        if position + total > len(data):
            return
        yield head, data[position + HEAD.size:position + total]
        position += total


def records_of(head, body):
    base, attributes, count = head[0], head[5], head[12]
    if attributes & 7 == 1:
        body = zlib.decompress(body, 31)
    else:
        assert attributes & 7 == 0
    reader = Varints(body)
    for _ in range(count):
        end = reader.number()
        end += reader.position
        reader.position += 1
        reader.number()
        offset = base + reader.number()
        key = reader.part()
        yield offset, key, reader.part()
        reader.position = end


def read_replica(directory):
    """What the segments of a replica hold: {offset: (key, value)}, and where they begin and end."""
    records = {}
    begin = end = None
    for path in sorted(pathlib.Path(directory).glob("*.log")):
        for head, body in batches_of(path.read_bytes()):
            if end is None:
                begin = end = head[0]
            assert head[0] == end, f"{path}: {head[0]} follows on {end}"
            end = head[0] + head[6] + 1
            for offset, key, value in records_of(head, body):
                records[offset] = (key, value)
    return records, begin, end


class Produced:
    """What was acknowledged, by offset."""

    def __init__(self, cluster, topic):
        self.cluster = cluster
        self.topic = topic
        self.records = {}
        self.failed = 0
        self.producer = None

    def begin(self, compression):
        """From here on by another producer."""
        if self.producer is not None:
            self.flush()
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": self.cluster.bootstrap, "acks": "all", "enable.idempotence": True,
            "compression.type": compression, "linger.ms": 5, "batch.num.messages": 500,
            "message.timeout.ms": int(PATIENCE_SECONDS * 1000), "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 20, "topic.metadata.refresh.interval.ms": 1000, "log_level": 0})

    def produce(self, key, value):
        def delivered(error, message):
            if error is None:
                self.records[message.offset()] = (key, value)
            else:
                self.failed += 1
        while True:
            try:
                self.producer.produce(self.topic, value, key, partition=0, on_delivery=delivered)
                self.producer.poll(0)
                return
            except BufferError:
                self.producer.poll(0.1)

    def flush(self):
        assert self.producer.flush(PATIENCE_SECONDS) == 0
        assert self.failed == 0

    def latest(self):
        latest = {}
        for offset in sorted(self.records):
            latest[self.records[offset][0]] = offset
        return latest


def create_compacted(cluster, topic, **config):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    new = NewTopic(topic, 1, min(3, len(cluster.brokers)), config={"cleanup.policy": "compact", **config})
    admin.create_topics([new])[topic].result(PATIENCE_SECONDS)


def group_directory(cluster, broker, topic):
    group = cluster.groups(topic)[0][broker.number]["group"]
    return broker.directory / "groups" / str(group)


def being_made(directory):
    """Segments that a compaction is writing right now."""
    return list(pathlib.Path(directory).glob("*.compacted"))


def check_replicas(cluster, topic, produced):
    """Every replica holds the last of every key, at its offset, and only what was produced."""
    wait_for(lambda: cluster.replicas_agree(topic), "replicas agree")
    directories = {broker.number: group_directory(cluster, broker, topic)
                   for broker in cluster.brokers.values()}
    cluster.stop_all()
    latest = produced.latest()
    for number, directory in directories.items():
        held, begin, end = read_replica(directory)
        assert begin == 0 and end == max(produced.records) + 1
        for offset, record in held.items():
            assert produced.records[offset] == record, f"broker {number}: offset {offset}"
        for key, offset in latest.items():
            assert offset in held, f"broker {number}: the last {key} at {offset} is gone"
        yield number, held


def consume_all(cluster, topic, end):
    """What a consumer ends up with that reads from the beginning."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "reader", "enable.partition.eof": True,
        "log_level": 0})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    seen = {}
    last = -1
    while True:
        message = consumer.poll(PATIENCE_SECONDS)
        assert message is not None, "the consumer came to no end"
        if message.error():
            assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF
            break
        assert message.offset() > last
        last = message.offset()
        seen[message.key()] = message.offset()
    (position,) = consumer.position([confluent_kafka.TopicPartition(topic, 0)])
    assert position.offset == end
    consumer.close()
    return seen


class Killer:
    """Kills each broker once in the middle of a compaction, and starts it again."""

    def __init__(self, cluster, topic):
        self.cluster = cluster
        self.topic = topic
        self.victims = list(cluster.brokers.values())

    def look(self):
        if not self.victims or not being_made(group_directory(self.cluster, self.victims[0], self.topic)):
            return
        victim = self.victims.pop(0)
        victim.kill()
        victim.start()
        self.cluster.wait_until_ready()


def test_every_keys_last_value_survives_kills_and_a_rebuilt_replica(make_cluster):
    # A segment takes a second to read and one to write, in pieces: a broker can be met in the middle of it.
    cluster = make_cluster(compaction_check_ms=50, compaction_bytes_per_second=RECORDS * 20).start()
    create_compacted(cluster, "state", **{"segment.bytes": str(RECORDS * 20),
                                          "min.cleanable.dirty.ratio": "0.1"})
    produced = Produced(cluster, "state")
    killer = Killer(cluster, "state")
    chance = random.Random(7)
    number = 0
    while number < RECORDS or killer.victims:
        if number % (RECORDS // 4) == 0:
            produced.begin(["none", "gzip"][number // (RECORDS // 4) % 2])
        key = b"key-%d" % chance.randrange(RECORDS // 100)
        produced.produce(key, b"value-%d-" % number + chance.randbytes(100))
        number += 1
        if number % 1000 == 0:
            killer.look()
            if number > RECORDS:
                time.sleep(0.1)  # what follows only keeps the compactions going
        assert number < 10 * RECORDS, "no compaction was met"
    produced.flush()
    end = max(produced.records) + 1
    assert sorted(produced.records) == list(range(end)) and end == number
    for broker in cluster.brokers.values():
        wait_for(lambda: broker.metric("flotilla_compaction_saved_bytes_total") > RECORDS,
                 f"broker {broker.number} has compacted")

    rebuilt = next(b for b in cluster.brokers.values() if b is not cluster.leader_of("state"))
    rebuilt.kill()
    shutil.rmtree(rebuilt.directory)
    rebuilt.start()
    cluster.wait_until_ready()
    wait_for(lambda: len(cluster.groups("state")[0]) == 3, "the replica is back")
    wait_for(lambda: cluster.replicas_agree("state"), "it is filled")

    seen = consume_all(cluster, "state", end)
    assert seen == produced.latest()
    for number, held in check_replicas(cluster, "state", produced):
        assert len(held) < end * 0.9, f"broker {number} holds {len(held)} records"


def test_a_topic_at_rest_is_compacted(make_cluster):
    """One burst in one flush closes a segment, and nothing is written after it."""
    cluster = make_cluster(compaction_check_ms=50).start()
    create_compacted(cluster, "rest", **{"segment.bytes": "100000", "max.compaction.lag.ms": "1"})
    produced = Produced(cluster, "rest")
    produced.begin("none")
    for number in range(3000):
        produced.produce(b"key-%d" % (number % 10), b"value-%d-" % number + b"x" * 50)
    produced.flush()
    for broker in cluster.brokers.values():
        wait_for(lambda: broker.metric("flotilla_compaction_removed_records_total") > 1000,
                 f"broker {broker.number} has compacted")
    assert consume_all(cluster, "rest", 3000) == produced.latest()
