"""OffsetForLeaderEpoch: every leader says where the epochs of its forerunners ended, also after a restart."""
import struct

from confluent_kafka import Producer

from cluster import wait_for
from protocol import Connection, Reader, compact_string, request, string

OFFSET_FOR_LEADER_EPOCH = 23
FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER = 74, 75, 6
TOPIC = "epochs"


def end_of(broker, version, epoch, current=-1):
    """(error, epoch, end offset) of partition 0."""
    flexible = version >= 4
    body = struct.pack(">i", -1) if version >= 3 else b""
    current_field = struct.pack(">i", current) if version >= 2 else b""
    if flexible:
        body += b"\x02" + compact_string(TOPIC) + b"\x02" + struct.pack(">i", 0) + current_field
        body += struct.pack(">i", epoch) + b"\0\0\0"
    else:
        body += struct.pack(">i", 1) + string(TOPIC) + struct.pack(">ii", 1, 0) + current_field
        body += struct.pack(">i", epoch)
    with Connection(broker.kafka_port) as connection:
        answer = connection.ask(request(OFFSET_FOR_LEADER_EPOCH, version, body, flexible=flexible))
    reader = Reader(answer, flexible)
    assert version < 2 or reader.take("i") == 0

    def partition():
        error, number = reader.take("hi")
        assert number == 0
        found = reader.take("i") if version >= 1 else None
        return error, found, reader.take("q")

    topics = reader.array(lambda: (reader.string(), reader.array(partition)))
    assert reader.ends()
    assert topics[0][0] == TOPIC
    return topics[0][1][0]


def produce(cluster, count):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    for number in range(count):
        producer.produce(TOPIC, str(number).encode())
    assert producer.flush(60) == 0


def term(cluster, broker):
    return cluster.groups(TOPIC)[0][broker.number]["term"]


def test_leaders_know_where_epochs_ended(make_cluster):
    cluster = make_cluster(leader_balance="false").start()
    cluster.create_topic(TOPIC, 1)
    ends = {}  # of the epochs in which something was written
    total = 0
    for count in (10, 5, 7):
        produce(cluster, count)
        total += count
        leader = cluster.leader_of(TOPIC)
        ends[term(cluster, leader)] = total
        leader.kill()
        wait_for(lambda: cluster.leader_of(TOPIC) is not leader, "another leader")
        leader.start()
        cluster.wait_until_ready()

    def check():
        leader = cluster.leader_of(TOPIC)
        now = term(cluster, leader)
        for version in range(5):
            for epoch, end in ends.items():
                error, found, offset = end_of(leader, version, epoch)
                assert (error, offset) == (0, end) and found in (epoch, None)
            assert end_of(leader, version, now + 1)[2] == -1
        assert end_of(leader, 4, now, now) == (0, now, total)
        assert end_of(leader, 4, now, now - 1)[0] == FENCED_LEADER_EPOCH
        assert end_of(leader, 4, now, now + 1)[0] == UNKNOWN_LEADER_EPOCH
        for broker in cluster.brokers.values():
            assert broker is leader or end_of(broker, 4, now)[0] == NOT_LEADER_OR_FOLLOWER

    check()
    for broker in cluster.brokers.values():
        broker.kill()
    for broker in cluster.brokers.values():
        broker.start()
    cluster.wait_until_ready()
    wait_for(lambda: end_of(cluster.leader_of(TOPIC), 4, min(ends))[0] == 0, "a leader that serves")
    check()
