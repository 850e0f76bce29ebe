"""confluent-kafka against a cluster: conformance.py BOOTSTRAP PREFIX; prints one line for each check."""
import pathlib
import sys
import time

import confluent_kafka as ck
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import admin as ka

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "report"))
from report import expect, expect_equal, run_checks  # noqa: E402

BOOTSTRAP, PREFIX = sys.argv[1:3]
PATIENCE = 60
ADMIN = ka.AdminClient({"bootstrap.servers": BOOTSTRAP})


def name_of(word):
    return f"{PREFIX}-{word}"


def topic(word, partitions=1, **config):
    name = name_of(word)
    config = {key.replace("_", "."): value for key, value in config.items()}
    ADMIN.create_topics([ka.NewTopic(name, partitions, 3, config=config)])[name].result(PATIENCE)
    return name


def produce(name, records, partition=0, **settings):
    """records: dicts of produce(); returns the delivered messages in their order."""
    producer = ck.Producer({"bootstrap.servers": BOOTSTRAP, "acks": "all", "linger.ms": 20, **settings})
    delivered, errors = [], []
    for record in records:
        producer.produce(name, partition=partition, **record,
                         on_delivery=lambda error, message: (errors if error else delivered).append(error or message))
        producer.poll(0)
    expect_equal(producer.flush(PATIENCE), 0, "records still waiting")
    if errors:
        raise KafkaException(errors[0])
    return delivered


def consumer_of(group, **settings):
    return ck.Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest",
                        "enable.auto.commit": False, "session.timeout.ms": 10000, **settings})


def take(consumer, count):
    messages = []
    deadline = time.monotonic() + PATIENCE
    while len(messages) < count:
        expect(time.monotonic() < deadline, f"{len(messages)} of {count} records came")
        message = consumer.poll(1)
        if message is not None:
            if message.error():
                raise KafkaException(message.error())
            messages.append(message)
    return messages


def read(name, count, offset=0, partition=0, **settings):
    consumer = consumer_of(name_of("reader"), **settings)
    try:
        consumer.assign([TopicPartition(name, partition, offset)])
        return take(consumer, count)
    finally:
        consumer.close()


def expect_error(code, action):
    try:
        action()
    except KafkaException as error:
        expect_equal(error.args[0].code(), code, f"error ({error.args[0].str()})")
        return
    raise AssertionError(f"no error where {code} was due")


def round_trip(name, codec):
    sent = [{"key": f"k{i}", "value": f"value {i} " * 20} for i in range(200)]
    produce(name, sent, **{"compression.type": codec})
    found = [(m.key().decode(), m.value().decode()) for m in read(name, 200)]
    expect_equal(found, [(r["key"], r["value"]) for r in sent], "records")


def codec(kind):
    return lambda: round_trip(topic(f"codec-{kind}"), kind)


def recompression():
    for kind in ("gzip", "snappy", "lz4", "zstd"):
        round_trip(topic(f"recompressed-{kind}", compression_type=kind), "none")


def keys_and_tombstones():
    name = topic("keys")
    sent = [(None, b"a"), (b"", b"b"), (b"key", b"c"), (b"key", None), (b"key", b"")]
    produce(name, [{"key": key, "value": value} for key, value in sent])
    expect_equal([(m.key(), m.value()) for m in read(name, len(sent))], sent, "records")


def headers():
    name = topic("headers")
    sent = [("a", b"1"), ("b", b""), ("a", b"2"), ("none", None), ("bytes", bytes(range(256)))]
    produce(name, [{"value": "v", "headers": sent}])
    expect_equal(read(name, 1)[0].headers(), sent, "headers")


def timestamps():
    name = topic("timestamps")
    produce(name, [{"value": "v", "timestamp": 1600000000123 + i} for i in range(5)])
    expect_equal([m.timestamp() for m in read(name, 5)],
                 [(ck.TIMESTAMP_CREATE_TIME, 1600000000123 + i) for i in range(5)], "timestamps")


def log_append_time():
    name = topic("append-time", message_timestamp_type="LogAppendTime")
    before = time.time() * 1000
    produce(name, [{"value": "v", "timestamp": 1600000000000}])
    kind, stamp = read(name, 1)[0].timestamp()
    expect_equal(kind, ck.TIMESTAMP_LOG_APPEND_TIME, "kind of timestamp")
    expect(before - 5000 <= stamp <= time.time() * 1000 + 5000, f"timestamp {stamp}")


def order():
    name = topic("order")
    produce(name, [{"value": str(i)} for i in range(1000)])
    found = read(name, 1000)
    expect_equal([(m.offset(), int(m.value())) for m in found], [(i, i) for i in range(1000)], "records")


def idempotence():
    name = topic("idempotence")
    produce(name, [{"value": str(i)} for i in range(1000)], **{"enable.idempotence": True})
    expect_equal([int(m.value()) for m in read(name, 1000)], list(range(1000)), "records")
    expect_equal(watermarks_of(name), (0, 1000), "watermarks")


def large_record():
    name = topic("large")
    value = bytes(i % 251 for i in range(900000))
    produce(name, [{"value": value}])
    expect(read(name, 1)[0].value() == value, "the record came back changed")


def watermarks_of(name):
    consumer = consumer_of(name_of("reader"))
    try:
        return consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=PATIENCE)
    finally:
        consumer.close()


def offsets_by_time():
    name = topic("times")
    produce(name, [{"value": "v", "timestamp": 1600000000000 + 1000 * i} for i in range(100)],
            **{"compression.type": "gzip"})
    consumer = consumer_of(name_of("reader"))
    try:
        for stamp, offset in ((1600000000000, 0), (1600000041500, 42), (1600000099000, 99), (1600000099001, -1)):
            found = consumer.offsets_for_times([TopicPartition(name, 0, stamp)], PATIENCE)[0]
            expect_equal(found.offset, offset, f"offset at {stamp}")
    finally:
        consumer.close()


def watermarks():
    name = topic("watermarks")
    expect_equal(watermarks_of(name), (0, 0), "watermarks of an empty partition")
    produce(name, [{"value": "v"}] * 7)
    expect_equal(watermarks_of(name), (0, 7), "watermarks")


def seek():
    name = topic("seek")
    produce(name, [{"value": str(i)} for i in range(50)])
    expect_equal([m.value() for m in read(name, 3, offset=37)], [b"37", b"38", b"39"], "records")


def until_assigned(members, shares):
    """Polls all members until their numbers of partitions are these."""
    deadline = time.monotonic() + PATIENCE
    while True:
        for member in members:
            member.poll(0.1)
        found = [len(member.assignment()) for member in members]
        if found == shares:
            return
        expect(time.monotonic() < deadline, f"members have {found} partitions, not {shares}")


def rebalance(word, strategy):
    name = topic(word, 4)
    members = [consumer_of(name_of(word), **{"partition.assignment.strategy": strategy}) for _ in range(2)]
    try:
        members[0].subscribe([name])
        until_assigned(members[:1], [4])
        members[1].subscribe([name])
        until_assigned(members, [2, 2])
        members.pop().close()
        until_assigned(members, [4])
    finally:
        for member in members:
            member.close()


def commit_and_resume():
    name = topic("resume")
    produce(name, [{"value": str(i)} for i in range(20)])
    first = consumer_of(name_of("resume"))
    first.subscribe([name])
    messages = take(first, 12)
    first.commit(offsets=[TopicPartition(name, 0, 12, "a note")], asynchronous=False)
    first.close()
    second = consumer_of(name_of("resume"))
    second.subscribe([name])
    try:
        expect_equal([m.value() for m in take(second, 8)], [str(i).encode() for i in range(12, 20)], "records")
        expect_equal(len(messages), 12, "records of the first member")
        expect_equal(second.committed([TopicPartition(name, 0)], PATIENCE)[0].offset, 12, "committed offset")
    finally:
        second.close()


def admin_create_topic():
    name = topic("created", 3, retention_ms="3600000")
    partitions = ADMIN.list_topics(name, PATIENCE).topics[name].partitions
    expect_equal(sorted(partitions), [0, 1, 2], "partitions")
    expect_equal({len(p.replicas) for p in partitions.values()}, {3}, "replicas")
    expect_equal(config_of(name)["retention.ms"].value, "3600000", "retention.ms")


def admin_create_partitions():
    name = topic("grown", 2)
    ADMIN.create_partitions([ka.NewPartitions(name, 5)])[name].result(PATIENCE)
    expect_equal(len(ADMIN.list_topics(name, PATIENCE).topics[name].partitions), 5, "partitions")


def admin_delete_topic():
    name = topic("deleted")
    ADMIN.delete_topics([name])[name].result(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while name in ADMIN.list_topics(timeout=PATIENCE).topics:
        expect(time.monotonic() < deadline, "the topic is still listed")


def config_of(name):
    resource = ka.ConfigResource(ka.ConfigResource.Type.TOPIC, name)
    return ADMIN.describe_configs([resource])[resource].result(PATIENCE)


def admin_describe_configs():
    found = config_of(topic("described", retention_ms="7200000"))
    expect_equal((found["retention.ms"].value, found["retention.ms"].is_default), ("7200000", False), "retention.ms")
    expect_equal((found["cleanup.policy"].value, found["cleanup.policy"].is_default), ("delete", True),
                 "cleanup.policy")


def admin_alter_configs():
    name = topic("altered", segment_ms="8000000")
    entry = ka.ConfigEntry("retention.ms", "1800000", incremental_operation=ka.AlterConfigOpType.SET)
    resource = ka.ConfigResource(ka.ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
    ADMIN.incremental_alter_configs([resource])[resource].result(PATIENCE)
    found = config_of(name)
    expect_equal((found["retention.ms"].value, found["segment.ms"].value), ("1800000", "8000000"), "configs")


def admin_describe_cluster():
    found = ADMIN.describe_cluster().result(PATIENCE)
    expect_equal(sorted(node.id for node in found.nodes), [1, 2, 3], "brokers")
    expect(found.controller.id in (1, 2, 3), "no controller")
    expect(found.cluster_id, "no cluster id")


def committed_group(word, offset=5):
    name = topic(word)
    produce(name, [{"value": str(i)} for i in range(10)])
    member = consumer_of(name_of(word))
    member.subscribe([name])
    take(member, 10)
    member.commit(offsets=[TopicPartition(name, 0, offset)], asynchronous=False)
    return name, member


def admin_groups():
    _, member = committed_group("grouped")
    group = name_of("grouped")
    try:
        listed = ADMIN.list_consumer_groups().result(PATIENCE)
        expect(group in [found.group_id for found in listed.valid], "the group is not listed")
        described = ADMIN.describe_consumer_groups([group])[group].result(PATIENCE)
        expect_equal(described.state, ck.ConsumerGroupState.STABLE, "state")
        expect_equal([len(m.assignment.topic_partitions) for m in described.members], [1], "assignments")
    finally:
        member.close()


def admin_reset_offsets():
    name, member = committed_group("reset")
    member.close()
    group = name_of("reset")
    wanted = ck.ConsumerGroupTopicPartitions(group, [TopicPartition(name, 0, 2)])
    ADMIN.alter_consumer_group_offsets([wanted])[group].result(PATIENCE)
    member = consumer_of(group)
    member.subscribe([name])
    try:
        expect_equal(take(member, 1)[0].offset(), 2, "first offset")
    finally:
        member.close()


def admin_delete_group():
    name, member = committed_group("deleted-group")
    member.close()
    group = name_of("deleted-group")
    ADMIN.delete_consumer_groups([group])[group].result(PATIENCE)
    found = ADMIN.list_consumer_group_offsets(
        [ck.ConsumerGroupTopicPartitions(group, [TopicPartition(name, 0)])])[group].result(PATIENCE)
    expect_equal(found.topic_partitions[0].offset, ck.OFFSET_INVALID, "committed offset")


def admin_delete_records():
    name = topic("records-deleted")
    produce(name, [{"value": str(i)} for i in range(10)])
    where = TopicPartition(name, 0, 6)
    result = list(ADMIN.delete_records([where]).values())[0].result(PATIENCE)
    expect_equal(result.low_watermark, 6, "low watermark")
    expect_equal(watermarks_of(name), (6, 10), "watermarks")


def error_topic_exists():
    topic("twice")
    expect_error(KafkaError.TOPIC_ALREADY_EXISTS, lambda: topic("twice"))


def error_unknown_topic():
    name = name_of("nowhere")
    expect_error(KafkaError.UNKNOWN_TOPIC_OR_PART, lambda: ADMIN.delete_topics([name])[name].result(PATIENCE))


def error_invalid_topic():
    expect_error(KafkaError.TOPIC_EXCEPTION, lambda: topic("bad/name"))


def error_replication_factor():
    name = name_of("four-replicas")
    expect_error(KafkaError.INVALID_REPLICATION_FACTOR,
                 lambda: ADMIN.create_topics([ka.NewTopic(name, 1, 4)])[name].result(PATIENCE))


def error_bad_config():
    expect_error(KafkaError.INVALID_CONFIG, lambda: topic("bad-config", retention_ms="soon"))


def error_record_too_large():
    name = topic("small-records", max_message_bytes="10000")
    expect_error(KafkaError.MSG_SIZE_TOO_LARGE, lambda: produce(name, [{"value": bytes(20000)}]))


def error_offset_out_of_range():
    name = topic("out-of-range")
    produce(name, [{"value": "v"}])
    expect_error(KafkaError._AUTO_OFFSET_RESET,
                 lambda: read(name, 1, offset=100, **{"auto.offset.reset": "error"}))


def error_unknown_group():
    group = name_of("no-group")
    expect_error(KafkaError.GROUP_ID_NOT_FOUND,
                 lambda: ADMIN.delete_consumer_groups([group])[group].result(PATIENCE))


CHECKS = [
    *((f"codec_{kind}", codec(kind)) for kind in ("none", "gzip", "snappy", "lz4", "zstd")),
    ("group_rebalance", lambda: rebalance("rebalance", "range")),
    ("group_cooperative", lambda: rebalance("cooperative", "cooperative-sticky")),
    *((check.__name__, check) for check in (
        recompression, keys_and_tombstones, headers, timestamps, log_append_time, order, idempotence, large_record,
        offsets_by_time, watermarks, seek, commit_and_resume, admin_create_topic, admin_create_partitions,
        admin_delete_topic, admin_describe_configs, admin_alter_configs, admin_describe_cluster, admin_groups,
        admin_reset_offsets, admin_delete_group, admin_delete_records, error_topic_exists, error_unknown_topic,
        error_invalid_topic, error_replication_factor, error_bad_config, error_record_too_large,
        error_offset_out_of_range, error_unknown_group)),
]

if __name__ == "__main__":
    sys.exit(1 if run_checks(CHECKS) else 0)
