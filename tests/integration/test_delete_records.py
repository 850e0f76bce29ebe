"""DeleteRecords: what was deleted stays so on every replica, through kills, and takes no offset."""
import shutil
import struct

from confluent_kafka import Consumer, Producer, TopicPartition

from cluster import wait_for
from protocol import Connection, Reader, compact_string, request, string

DELETE_RECORDS = 21
NONE, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER, INVALID_TOPIC, POLICY = 0, 1, 3, 6, 17, 44
TOPIC = "shortened"


def delete(broker, offset, version=2, topic=TOPIC, partition=0):
    """(error, low watermark)."""
    flexible = version >= 2
    if flexible:
        body = (b"\x02" + compact_string(topic) + b"\x02" + struct.pack(">iq", partition, offset) + b"\0\0"
                + struct.pack(">i", 30000) + b"\0")
    else:
        body = struct.pack(">i", 1) + string(topic) + struct.pack(">iiqi", 1, partition, offset, 30000)
    with Connection(broker.kafka_port) as connection:
        reader = Reader(connection.ask(request(DELETE_RECORDS, version, body, flexible=flexible)), flexible)
    assert reader.take("i") == 0

    def row():
        number, low_watermark, error = reader.take("iqh")
        assert number == partition
        return error, low_watermark

    topics = reader.array(lambda: (reader.string(), reader.array(row)))
    assert reader.ends()
    assert topics[0][0] == topic
    return topics[0][1][0]


def produce(cluster, first, count):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 0,
                         "batch.num.messages": 10})
    for number in range(first, first + count):
        producer.produce(TOPIC, str(number).encode())
    assert producer.flush(60) == 0


def read_all(cluster):
    """(begin, end, what is read from the beginning)."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "none",
                         "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        begin, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=60)
        consumer.assign([TopicPartition(TOPIC, 0, begin)])
        values = []
        while True:
            message = consumer.poll(30)
            assert message is not None
            if message.error():
                break  # the end of the partition
            values.append(int(message.value()))
        return begin, end, values
    finally:
        consumer.close()


def assert_holds(cluster, begin, end):
    assert read_all(cluster) == (begin, end, list(range(begin, end)))


def starts(cluster):
    return {number: report["start_offset"] for number, report in cluster.groups(TOPIC)[0].items()}


def test_deleted_records_stay_deleted(make_cluster):
    cluster = make_cluster(leader_balance="false", retention_check_ms=500).start()
    cluster.create_topic(TOPIC, 1)
    produce(cluster, 0, 100)
    leader = cluster.leader_of(TOPIC)
    for version, offset in enumerate((20, 30, 35)):
        assert delete(leader, offset, version) == (NONE, offset)
    assert_holds(cluster, 35, 100)
    assert delete(leader, 10) == (NONE, 35)
    assert delete(leader, 101) == (OFFSET_OUT_OF_RANGE, -1)
    assert delete(leader, -2) == (OFFSET_OUT_OF_RANGE, -1)
    assert delete(leader, 0, partition=3) == (UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert delete(leader, 0, topic="absent") == (UNKNOWN_TOPIC_OR_PARTITION, -1)
    follower = next(broker for broker in cluster.brokers.values() if broker is not leader)
    assert delete(follower, 40) == (NOT_LEADER, -1)

    for _ in range(2):  # whoever leads next knows it
        leader = cluster.leader_of(TOPIC)
        leader.kill()
        wait_for(lambda: cluster.leader_of(TOPIC) is not leader, "another leader")
        assert_holds(cluster, 35, 100)
        leader.start()
        cluster.wait_until_ready()

    assert delete(cluster.leader_of(TOPIC), 50) == (NONE, 50)
    for broker in cluster.brokers.values():  # at once, so nobody has taken a snapshot of it
        broker.kill()
    for broker in cluster.brokers.values():
        broker.start()
    cluster.wait_until_ready()
    assert_holds(cluster, 50, 100)
    wait_for(lambda: set(starts(cluster).values()) == {50}, "the same start everywhere")

    away = next(broker for broker in cluster.brokers.values() if broker is not cluster.leader_of(TOPIC))
    away.kill()
    shutil.rmtree(away.directory)
    away.start()
    cluster.wait_until_ready()
    wait_for(lambda: starts(cluster).get(away.number) == 50, "a new replica has the same start")

    produce(cluster, 100, 10)
    assert_holds(cluster, 50, 110)
    assert delete(cluster.leader_of(TOPIC), -1) == (NONE, 110)
    assert_holds(cluster, 110, 110)
    wait_for(lambda: all(report["bytes"] == 0 for report in cluster.groups(TOPIC)[0].values()),
             "the space is given back")
    produce(cluster, 110, 10)
    assert_holds(cluster, 110, 120)


def test_what_only_compaction_may_delete_is_refused(make_cluster):
    cluster = make_cluster(size=1).start()
    cluster.create_topic("compacted", 1, config="cleanup.policy=compact")
    broker = cluster.brokers[1]
    wait_for(lambda: delete(broker, 0, topic="compacted") != (NOT_LEADER, -1), "its leader is ready")
    assert delete(broker, 0, topic="compacted") == (POLICY, -1)
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "some"})
    consumer.subscribe(["compacted"])  # makes the topic of the groups
    wait_for(lambda: consumer.poll(1) is not None or len(consumer.assignment()) == 1, "the group is there")
    consumer.close()
    assert delete(broker, 0, topic="__consumer_offsets") == (INVALID_TOPIC, -1)
