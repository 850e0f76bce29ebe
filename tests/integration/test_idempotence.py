"""An idempotent producer's batch that comes again is answered with its first offset, whatever happened since: kills
of all brokers, retention of the records, a replica filled anew; and a producer is forgotten when it is told so."""
import shutil
import time

from cluster import wait_for
from messages import Client, batch

TOPIC = "once"
NONE, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, INVALID_PRODUCER_EPOCH = 0, 3, 6, 47
REMEMBERED = 5


def produce(cluster, records):
    """The answer of the partition's leader, when it has one that serves."""
    def answer():
        with Client(cluster.leader_of(TOPIC).kafka_port) as client:
            row = client.ask("produce", 9, acks=-1, timeout_ms=10000, topic_data=[
                {"name": TOPIC, "partition_data": [{"index": 0, "records": records}]}])
        row = row["responses"][0]["partition_responses"][0]
        return row if row["error_code"] != NOT_LEADER_OR_FOLLOWER else None
    return wait_for(answer, "a leader that serves")


def begin(cluster, **config):
    """A producer's batches of two records each; the last five are remembered."""
    cluster.create_topic(TOPIC, 1, config=",".join(f"{key}={value}" for key, value in config.items()) or None)
    with Client(cluster.brokers[1].kafka_port) as client:
        producer = client.ask("init_producer_id", 1, transaction_timeout_ms=60000,
                              transactional_id=None)["producer_id"]
    now = int(time.time() * 1000)
    sent = [batch(["x", "y"], producer=(producer, 0, 2 * i), first_timestamp=now) for i in range(7)]
    for i, each in enumerate(sent):
        answer = produce(cluster, each)
        assert (answer["error_code"], answer["base_offset"]) == (NONE, 2 * i)
    return producer, sent


def assert_known(cluster, sent):
    for i in range(len(sent) - REMEMBERED, len(sent)):
        answer = produce(cluster, sent[i])
        assert (answer["error_code"], answer["base_offset"]) == (NONE, 2 * i)


def assert_goes_on(cluster, producer, sent):
    """The next batch fits behind the last one, and nothing was appended twice."""
    sent.append(batch(["x", "y"], producer=(producer, 0, 2 * len(sent))))
    answer = produce(cluster, sent[-1])
    assert (answer["error_code"], answer["base_offset"]) == (NONE, 2 * (len(sent) - 1))


def restart_all(cluster):
    for broker in cluster.brokers.values():
        broker.kill()
    for broker in cluster.brokers.values():
        broker.start()
    cluster.wait_until_ready()


def test_duplicates_are_known_after_kills_and_on_a_new_replica(make_cluster):
    cluster = make_cluster(leader_balance="false").start()
    producer, sent = begin(cluster)
    restart_all(cluster)
    assert_known(cluster, sent)
    assert_goes_on(cluster, producer, sent)

    away = next(broker for broker in cluster.brokers.values() if broker is not cluster.leader_of(TOPIC))
    away.kill()
    shutil.rmtree(away.directory)
    away.start()
    cluster.wait_until_ready()

    def votes_again():
        leading = [report for report in cluster.groups(TOPIC)[0].values() if report["role"] == "leader"]
        return leading and {"broker": away.number, "voter": True}.items() <= next(
            member for member in leading[0]["members"] if member["broker"] == away.number).items()
    wait_for(votes_again, "the new replica votes")
    others = [number for number in cluster.brokers if number != away.number]
    cluster.tool("topic", "reassign", TOPIC, "--replicas", ",".join(map(str, [away.number, *others])), "--wait")
    cluster.tool("topic", "elect", TOPIC)
    assert cluster.leader_of(TOPIC) is away
    assert_known(cluster, sent)
    assert_goes_on(cluster, producer, sent)


def test_duplicates_are_known_when_their_records_are_gone(make_cluster):
    cluster = make_cluster(retention_check_ms=500).start()
    producer, sent = begin(cluster)
    with Client(cluster.leader_of(TOPIC).kafka_port) as client:
        answer = client.ask("delete_records", 1, timeout_ms=30000, topics=[
            {"name": TOPIC, "partitions": [{"partition_index": 0, "offset": -1}]}])
    assert answer["topics"][0]["partitions"][0]["low_watermark"] == 2 * len(sent)
    wait_for(lambda: all(report["bytes"] == 0 for report in cluster.groups(TOPIC)[0].values()), "nothing is left")
    assert_known(cluster, sent)
    restart_all(cluster)  # what is known now stands in snapshots alone
    assert_known(cluster, sent)
    assert_goes_on(cluster, producer, sent)


def test_a_silent_producer_is_forgotten(make_cluster):
    cluster = make_cluster(size=1, retention_check_ms=300, producer_id_expiration_ms=15000).start()
    producer, _ = begin(cluster)
    assert produce(cluster, batch(["x"], producer=(producer, 1, 0)))["error_code"] == NONE
    late = batch(["x"], producer=(producer, 0, 0))  # of an epoch that is over
    assert produce(cluster, late)["error_code"] == INVALID_PRODUCER_EPOCH
    # Then nobody has heard of any epoch of it.
    wait_for(lambda: produce(cluster, late)["error_code"] == NONE, "it is forgotten")


def test_the_leader_describes_its_producers(make_cluster):
    cluster = make_cluster(tls=False).start()
    producer, _ = begin(cluster)
    leader = cluster.leader_of(TOPIC)

    def describe(broker, partition=0):
        with Client(broker.kafka_port) as client:
            answer = client.ask("describe_producers", 0, topics=[
                {"name": TOPIC, "partition_indexes": [partition]}])
        return answer["topics"][0]["partitions"][0]

    known = describe(leader)
    assert known["error_code"] == NONE
    assert [(each["producer_id"], each["producer_epoch"], each["last_sequence"], each["coordinator_epoch"],
             each["current_txn_start_offset"]) for each in known["active_producers"]] == [(producer, 0, 13, -1, -1)]
    assert abs(known["active_producers"][0]["last_timestamp"] - time.time() * 1000) < 600000
    assert describe(leader, 1)["error_code"] == UNKNOWN_TOPIC_OR_PARTITION
    for broker in cluster.brokers.values():
        assert broker is leader or describe(broker)["error_code"] == NOT_LEADER_OR_FOLLOWER
