"""DescribeLogDirs: every broker tells what its replicas take of its disk."""
import struct

from confluent_kafka import Producer

from cluster import wait_for
from protocol import Connection, Reader, compact_string, request

DESCRIBE_LOG_DIRS, ALTER_REPLICA_LOG_DIRS = 35, 34
LOG_DIR_NOT_FOUND = 57
TOPIC = "sized"


def describe(broker, version):
    """(directory, {(topic, partition): bytes}, total bytes, usable bytes) of all topics."""
    flexible = version >= 2
    body = b"\0\0" if flexible else struct.pack(">i", -1)
    with Connection(broker.kafka_port) as connection:
        reader = Reader(connection.ask(request(DESCRIBE_LOG_DIRS, version, body, flexible=flexible)), flexible)
    assert reader.take("i") == 0
    assert version < 3 or reader.take("h") == 0

    def partition():
        number, size, lag, is_future = reader.take("iqqb")
        assert lag == 0 and not is_future
        return number, size

    def directory():
        assert reader.take("h") == 0
        path = reader.string()
        topics = reader.array(lambda: (reader.string(), reader.array(partition)))
        sizes = {(name, number): size for name, partitions in topics for number, size in partitions}
        return path, sizes, *(reader.take("qq") if version >= 4 else (None, None))

    directories = reader.array(directory)
    assert reader.ends()
    assert len(directories) == 1
    return directories[0]


def alter(broker, path):
    body = b"\x02" + compact_string(path) + b"\x02" + compact_string(TOPIC) + b"\x02" + struct.pack(">i", 0)
    with Connection(broker.kafka_port) as connection:
        reader = Reader(connection.ask(request(ALTER_REPLICA_LOG_DIRS, 2, body + b"\0\0\0", flexible=True)), True)
    assert reader.take("i") == 0
    topics = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take("ih"))))
    assert reader.ends()
    return topics[0][1][0][1]


def test_sizes_of_replicas(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic(TOPIC, 2, 2)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    for _ in range(1000):
        producer.produce(TOPIC, b"x" * 1000, partition=0)
    assert producer.flush(60) == 0
    wait_for(lambda: cluster.replicas_agree(TOPIC), "replicas agree")
    for version in range(5):
        holders = {}
        for broker in cluster.brokers.values():
            path, sizes, total, usable = describe(broker, version)
            assert path == str(broker.directory)
            assert version < 4 or 0 < usable < total
            for place, size in sizes.items():
                holders.setdefault(place, []).append(size)
        assert set(holders) == {(TOPIC, 0), (TOPIC, 1)}
        assert holders[(TOPIC, 1)] == [0, 0]
        sizes = holders[(TOPIC, 0)]
        assert len(sizes) == 2 and sizes[0] == sizes[1] and 1000 * 1000 < sizes[0] < 2 * 1000 * 1000
    leader = cluster.leader_of(TOPIC)
    assert alter(leader, str(leader.directory)) == 0
    assert alter(leader, "/elsewhere") == LOG_DIR_NOT_FOUND
