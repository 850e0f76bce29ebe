"""kafka-python against a cluster: conformance.py BOOTSTRAP PREFIX; prints one line for each check."""
import concurrent.futures
import pathlib
import sys
import time

import kafka
from kafka import TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "report"))
from report import expect, expect_equal, run_checks  # noqa: E402

BOOTSTRAP, PREFIX = sys.argv[1].split(","), sys.argv[2]
PATIENCE = 60
ADMIN = kafka.KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def name_of(word):
    return f"{PREFIX}-{word}"


def topic(word, partitions=1, replicas=3, **config):
    name = name_of(word)
    config = {key.replace("_", "."): value for key, value in config.items()}
    ADMIN.create_topics([NewTopic(name, partitions, replicas, topic_configs=config)], timeout_ms=PATIENCE * 1000)
    return name


def produce(name, records, **settings):
    """records: dicts of send()."""
    producer = kafka.KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", linger_ms=20, **settings)
    try:
        sent = [producer.send(name, partition=0, **record) for record in records]
        producer.flush(PATIENCE)
        return [future.get(PATIENCE) for future in sent]
    finally:
        producer.close()


def consumer_of(group, **settings):
    return kafka.KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False,
                               **{"auto_offset_reset": "earliest", "session_timeout_ms": 10000, **settings})


def take(consumer, count):
    messages = []
    deadline = time.monotonic() + PATIENCE
    while len(messages) < count:
        expect(time.monotonic() < deadline, f"{len(messages)} of {count} records came")
        for batch in consumer.poll(500, max_records=count - len(messages)).values():
            messages += batch
    return messages


def read(name, count, offset=0, **settings):
    consumer = consumer_of(None, **settings)
    try:
        consumer.assign([TopicPartition(name, 0)])
        consumer.seek(TopicPartition(name, 0), offset)
        return take(consumer, count)
    finally:
        consumer.close()


def expect_error(kind, action):
    try:
        action()
    except kind:
        return
    raise AssertionError(f"no error where {kind.__name__} was due")


def round_trip(name, codec):
    sent = [{"key": f"k{i}".encode(), "value": f"value {i} ".encode() * 20} for i in range(200)]
    produce(name, sent, compression_type=codec)
    expect_equal([(m.key, m.value) for m in read(name, 200)], [(r["key"], r["value"]) for r in sent], "records")


def codec(kind):
    return lambda: round_trip(topic(f"codec-{kind}"), kind)


def recompression():
    for kind in ("gzip", "snappy", "lz4", "zstd"):
        round_trip(topic(f"recompressed-{kind}", compression_type=kind), None)


def keys_and_tombstones():
    name = topic("keys")
    sent = [(None, b"a"), (b"", b"b"), (b"key", b"c"), (b"key", None), (b"key", b"")]
    produce(name, [{"key": key, "value": value} for key, value in sent])
    expect_equal([(m.key, m.value) for m in read(name, len(sent))], sent, "records")


def headers():
    # kafka-python itself refuses null values of headers.
    name = topic("headers")
    sent = [("a", b"1"), ("b", b""), ("a", b"2"), ("bytes", bytes(range(256)))]
    produce(name, [{"value": b"v", "headers": sent}])
    expect_equal([tuple(header) for header in read(name, 1)[0].headers], sent, "headers")


def timestamps():
    name = topic("timestamps")
    produce(name, [{"value": b"v", "timestamp_ms": 1600000000123 + i} for i in range(5)])
    expect_equal([(m.timestamp, m.timestamp_type) for m in read(name, 5)],
                 [(1600000000123 + i, 0) for i in range(5)], "timestamps")


def log_append_time():
    name = topic("append-time", message_timestamp_type="LogAppendTime")
    before = time.time() * 1000
    produce(name, [{"value": b"v", "timestamp_ms": 1600000000000}])
    message = read(name, 1)[0]
    expect_equal(message.timestamp_type, 1, "kind of timestamp")
    expect(before - 5000 <= message.timestamp <= time.time() * 1000 + 5000, f"timestamp {message.timestamp}")


def order():
    name = topic("order")
    produce(name, [{"value": str(i).encode()} for i in range(1000)])
    expect_equal([(m.offset, int(m.value)) for m in read(name, 1000)], [(i, i) for i in range(1000)], "records")


def idempotence():
    name = topic("idempotence")
    produce(name, [{"value": str(i).encode()} for i in range(1000)], enable_idempotence=True)
    expect_equal([int(m.value) for m in read(name, 1000)], list(range(1000)), "records")
    expect_equal(watermarks_of(name), (0, 1000), "watermarks")


def large_record():
    name = topic("large")
    value = bytes(i % 251 for i in range(900000))
    produce(name, [{"value": value}])
    expect(read(name, 1)[0].value == value, "the record came back changed")


def watermarks_of(name):
    consumer = consumer_of(None)
    where = TopicPartition(name, 0)
    try:
        return consumer.beginning_offsets([where])[where], consumer.end_offsets([where])[where]
    finally:
        consumer.close()


def offsets_by_time():
    name = topic("times")
    produce(name, [{"value": b"v", "timestamp_ms": 1600000000000 + 1000 * i} for i in range(100)],
            compression_type="gzip")
    consumer = consumer_of(None)
    where = TopicPartition(name, 0)
    try:
        for stamp, offset in ((1600000000000, 0), (1600000041500, 42), (1600000099000, 99)):
            expect_equal(consumer.offsets_for_times({where: stamp})[where].offset, offset, f"offset at {stamp}")
        expect_equal(consumer.offsets_for_times({where: 1600000099001})[where], None, "offset behind the end")
    finally:
        consumer.close()


def watermarks():
    name = topic("watermarks")
    expect_equal(watermarks_of(name), (0, 0), "watermarks of an empty partition")
    produce(name, [{"value": b"v"}] * 7)
    expect_equal(watermarks_of(name), (0, 7), "watermarks")


def seek():
    name = topic("seek")
    produce(name, [{"value": str(i).encode()} for i in range(50)])
    expect_equal([m.value for m in read(name, 3, offset=37)], [b"37", b"38", b"39"], "records")


def until_assigned(members, shares):
    """Polls them side by side, as members of a group are: what a join brings is lost on this client when it comes
    between two polls of the member, which then joins again; polled in turn, two members can keep each other at that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with concurrent.futures.ThreadPoolExecutor(len(members)) as threads:
            list(threads.map(lambda member: member.poll(500), members))
        found = [len(member.assignment()) for member in members]
        if found == shares:
            return
        expect(time.monotonic() < deadline, f"members have {found} partitions, not {shares}")


def rebalance(word, assignor):
    name = topic(word, 4)
    members = [consumer_of(name_of(word), partition_assignment_strategy=[assignor]) for _ in range(2)]
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
    where = TopicPartition(name, 0)
    produce(name, [{"value": str(i).encode()} for i in range(20)])
    first = consumer_of(name_of("resume"))
    first.subscribe([name])
    take(first, 12)
    first.commit({where: kafka.OffsetAndMetadata(12, "a note", -1)})
    first.close()
    second = consumer_of(name_of("resume"))
    second.subscribe([name])
    try:
        expect_equal([m.value for m in take(second, 8)], [str(i).encode() for i in range(12, 20)], "records")
        found = second.committed(where, metadata=True)
        expect_equal((found.offset, found.metadata), (12, "a note"), "committed offset")
    finally:
        second.close()


def admin_create_topic():
    name = topic("created", 3, retention_ms="3600000")
    partitions = ADMIN.describe_topics([name])[0]["partitions"]
    expect_equal(sorted(len(p["replica_nodes"]) for p in partitions), [3, 3, 3], "replicas")
    expect_equal(config_of(name)["retention.ms"]["value"], "3600000", "retention.ms")


def admin_create_partitions():
    name = topic("grown", 2)
    ADMIN.create_partitions({name: NewPartitions(5)})
    expect_equal(len(ADMIN.describe_topics([name])[0]["partitions"]), 5, "partitions")


def admin_delete_topic():
    name = topic("deleted")
    ADMIN.delete_topics([name])
    deadline = time.monotonic() + PATIENCE
    while name in ADMIN.list_topics():
        expect(time.monotonic() < deadline, "the topic is still listed")


def config_of(name):
    found = ADMIN.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    return list(found.values())[0][name]


def admin_describe_configs():
    found = config_of(topic("described", retention_ms="7200000"))
    expect_equal((found["retention.ms"]["value"], found["cleanup.policy"]["value"]), ("7200000", "delete"), "configs")
    sources = [str(found[key]["config_source"]) for key in ("retention.ms", "cleanup.policy")]
    expect("DYNAMIC_TOPIC" in sources[0] and "DEFAULT_CONFIG" in sources[1], f"sources: {sources}")


def admin_alter_configs():
    name = topic("altered", segment_ms="8000000")
    ADMIN.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1800000"})])
    found = config_of(name)
    expect_equal((found["retention.ms"]["value"], found["segment.ms"]["value"]), ("1800000", "8000000"), "configs")


def admin_describe_cluster():
    found = ADMIN.describe_cluster()
    expect_equal(sorted(broker.get("node_id", broker.get("broker_id")) for broker in found["brokers"]), [1, 2, 3],
                 "brokers")
    expect(found["controller_id"] in (1, 2, 3), "no controller")
    expect(found["cluster_id"], "no cluster id")


def committed_group(word, offset=5):
    name = topic(word)
    produce(name, [{"value": str(i).encode()} for i in range(10)])
    member = consumer_of(name_of(word))
    member.subscribe([name])
    take(member, 10)
    member.commit({TopicPartition(name, 0): kafka.OffsetAndMetadata(offset, "", -1)})
    return name, member


def admin_groups():
    _, member = committed_group("grouped")
    group = name_of("grouped")
    try:
        listed = ADMIN.list_groups()
        expect(group in [found["group_id"] for found in listed], "the group is not listed")
        described = ADMIN.describe_groups([group])[group]
        expect_equal(str(described["group_state"]).lower().rsplit(".", 1)[-1], "stable", "state")
        expect_equal(len(described["members"]), 1, "members")
    finally:
        member.close()


def admin_reset_offsets():
    name, member = committed_group("reset")
    member.close()
    where = TopicPartition(name, 0)
    result = ADMIN.alter_group_offsets(name_of("reset"), {where: kafka.OffsetAndMetadata(2, "", -1)})
    expect_equal(result[where], errors.NoError, "result")
    member = consumer_of(name_of("reset"))
    member.subscribe([name])
    try:
        expect_equal(take(member, 1)[0].offset, 2, "first offset")
    finally:
        member.close()


def admin_delete_group():
    name, member = committed_group("deleted-group")
    member.close()
    group = name_of("deleted-group")
    result = ADMIN.delete_groups([group])
    expect_equal(dict(result)[group], "OK", "result")
    where = TopicPartition(name, 0)
    found = ADMIN.list_group_offsets({group: [where]})[group]
    expect(where not in found or found[where].offset == -1, f"committed offset: {found}")


def admin_delete_records():
    name = topic("records-deleted")
    produce(name, [{"value": b"v"}] * 10)
    ADMIN.delete_records({TopicPartition(name, 0): 6})
    expect_equal(watermarks_of(name), (6, 10), "watermarks")


def error_topic_exists():
    topic("twice")
    expect_error(errors.TopicAlreadyExistsError, lambda: topic("twice"))


def error_unknown_topic():
    expect_error(errors.UnknownTopicOrPartitionError, lambda: ADMIN.delete_topics([name_of("nowhere")]))


def error_invalid_topic():
    expect_error(errors.InvalidTopicError, lambda: topic("bad/name"))


def error_replication_factor():
    expect_error(errors.InvalidReplicationFactorError, lambda: topic("four-replicas", replicas=4))


def error_bad_config():
    expect_error(errors.InvalidConfigurationError, lambda: topic("bad-config", retention_ms="soon"))


def error_record_too_large():
    name = topic("small-records", max_message_bytes="10000")
    expect_error(errors.MessageSizeTooLargeError, lambda: produce(name, [{"value": bytes(20000)}]))


def error_offset_out_of_range():
    name = topic("out-of-range")
    produce(name, [{"value": b"v"}])
    expect_error(errors.OffsetOutOfRangeError, lambda: read(name, 1, offset=100, auto_offset_reset="none"))


def error_unknown_group():
    group = name_of("no-group")
    expect_equal(dict(ADMIN.delete_groups([group]))[group], "GroupIdNotFoundError", "result")


CHECKS = [
    *((f"codec_{kind}", codec(None if kind == "none" else kind)) for kind in ("none", "gzip", "snappy", "lz4", "zstd")),
    ("group_rebalance", lambda: rebalance("rebalance", RangePartitionAssignor)),
    ("group_cooperative", lambda: rebalance("cooperative", CooperativeStickyAssignor)),
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
