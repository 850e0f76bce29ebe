"""aiokafka against a cluster: conformance.py BOOTSTRAP PREFIX; prints one line for each check."""
import asyncio
import pathlib
import sys
import time

import aiokafka
from aiokafka import TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "report"))
from report import Skip, expect, expect_equal, run_checks  # noqa: E402

BOOTSTRAP, PREFIX = sys.argv[1:3]
PATIENCE = 60
DYNAMIC_TOPIC, DEFAULT = 1, 5  # sources of a config's value


def name_of(word):
    return f"{PREFIX}-{word}"


async def with_admin(action):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        return await action(admin)
    finally:
        await admin.close()


def raise_code(code, text=""):
    if code:
        raise errors.for_code(code)(text)


async def topic(word, partitions=1, replicas=3, **config):
    name = name_of(word)
    config = {key.replace("_", "."): value for key, value in config.items()}
    wanted = NewTopic(name, partitions, replicas, topic_configs=config)
    response = await with_admin(lambda admin: admin.create_topics([wanted]))
    for _, code, *text in response.topic_errors:
        raise_code(code, *text)
    return name


async def produce(name, records, **settings):
    """records: dicts of send()."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **{"acks": "all", "linger_ms": 20, **settings})
    await producer.start()
    try:
        sent = [await producer.send(name, partition=0, **record) for record in records]
        return await asyncio.wait_for(asyncio.gather(*sent), PATIENCE)
    finally:
        await producer.stop()


async def consumer_of(group, *topics, **settings):
    consumer = aiokafka.AIOKafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, group_id=group,
                                         enable_auto_commit=False, **{"auto_offset_reset": "earliest", **settings})
    await consumer.start()
    return consumer


async def take(consumer, count):
    messages = []
    deadline = time.monotonic() + PATIENCE
    while len(messages) < count:
        expect(time.monotonic() < deadline, f"{len(messages)} of {count} records came")
        for batch in (await consumer.getmany(timeout_ms=500, max_records=count - len(messages))).values():
            messages += batch
    return messages


async def read(name, count, offset=0, **settings):
    consumer = await consumer_of(None, **settings)
    try:
        consumer.assign([TopicPartition(name, 0)])
        consumer.seek(TopicPartition(name, 0), offset)
        return await take(consumer, count)
    finally:
        await consumer.stop()


async def expect_error(kind, action):
    try:
        await action
    except kind:
        return
    raise AssertionError(f"no error where {kind.__name__} was due")


async def round_trip(name, codec):
    sent = [{"key": f"k{i}".encode(), "value": f"value {i} ".encode() * 20} for i in range(200)]
    await produce(name, sent, compression_type=codec)
    expect_equal([(m.key, m.value) for m in await read(name, 200)], [(r["key"], r["value"]) for r in sent], "records")


def codec(kind):
    async def check():
        await round_trip(await topic(f"codec-{kind}"), kind)
    return check


async def recompression():
    for kind in ("gzip", "snappy", "lz4", "zstd"):
        await round_trip(await topic(f"recompressed-{kind}", compression_type=kind), None)


async def keys_and_tombstones():
    name = await topic("keys")
    sent = [(None, b"a"), (b"", b"b"), (b"key", b"c"), (b"key", None), (b"key", b"")]
    await produce(name, [{"key": key, "value": value} for key, value in sent])
    expect_equal([(m.key, m.value) for m in await read(name, len(sent))], sent, "records")


async def headers():
    name = await topic("headers")
    sent = [("a", b"1"), ("b", b""), ("a", b"2"), ("none", None), ("bytes", bytes(range(256)))]
    await produce(name, [{"value": b"v", "headers": sent}])
    expect_equal(list((await read(name, 1))[0].headers), sent, "headers")


async def timestamps():
    name = await topic("timestamps")
    await produce(name, [{"value": b"v", "timestamp_ms": 1600000000123 + i} for i in range(5)])
    expect_equal([(m.timestamp, m.timestamp_type) for m in await read(name, 5)],
                 [(1600000000123 + i, 0) for i in range(5)], "timestamps")


async def log_append_time():
    name = await topic("append-time", message_timestamp_type="LogAppendTime")
    before = time.time() * 1000
    await produce(name, [{"value": b"v", "timestamp_ms": 1600000000000}])
    message = (await read(name, 1))[0]
    expect_equal(message.timestamp_type, 1, "kind of timestamp")
    expect(before - 5000 <= message.timestamp <= time.time() * 1000 + 5000, f"timestamp {message.timestamp}")


async def order():
    name = await topic("order")
    await produce(name, [{"value": str(i).encode()} for i in range(1000)])
    expect_equal([(m.offset, int(m.value)) for m in await read(name, 1000)], [(i, i) for i in range(1000)], "records")


async def idempotence():
    name = await topic("idempotence")
    await produce(name, [{"value": str(i).encode()} for i in range(1000)], enable_idempotence=True)
    expect_equal([int(m.value) for m in await read(name, 1000)], list(range(1000)), "records")
    expect_equal(await watermarks_of(name), (0, 1000), "watermarks")


async def large_record():
    name = await topic("large")
    value = bytes(i % 251 for i in range(900000))
    await produce(name, [{"value": value}])
    expect((await read(name, 1))[0].value == value, "the record came back changed")


async def watermarks_of(name):
    consumer = await consumer_of(None)
    where = TopicPartition(name, 0)
    try:
        return (await consumer.beginning_offsets([where]))[where], (await consumer.end_offsets([where]))[where]
    finally:
        await consumer.stop()


async def offsets_by_time():
    name = await topic("times")
    await produce(name, [{"value": b"v", "timestamp_ms": 1600000000000 + 1000 * i} for i in range(100)],
                  compression_type="gzip")
    consumer = await consumer_of(None)
    where = TopicPartition(name, 0)
    try:
        for stamp, offset in ((1600000000000, 0), (1600000041500, 42), (1600000099000, 99)):
            found = await consumer.offsets_for_times({where: stamp})
            expect_equal(found[where].offset, offset, f"offset at {stamp}")
        expect_equal((await consumer.offsets_for_times({where: 1600000099001}))[where], None, "offset behind the end")
    finally:
        await consumer.stop()


async def watermarks():
    name = await topic("watermarks")
    expect_equal(await watermarks_of(name), (0, 0), "watermarks of an empty partition")
    await produce(name, [{"value": b"v"}] * 7)
    expect_equal(await watermarks_of(name), (0, 7), "watermarks")


async def seek():
    name = await topic("seek")
    await produce(name, [{"value": str(i).encode()} for i in range(50)])
    expect_equal([m.value for m in await read(name, 3, offset=37)], [b"37", b"38", b"39"], "records")


async def until_assigned(members, shares):
    deadline = time.monotonic() + PATIENCE
    while True:
        for member in members:
            await member.getmany(timeout_ms=50)
        found = [len(member.assignment()) for member in members]
        if found == shares:
            return
        expect(time.monotonic() < deadline, f"members have {found} partitions, not {shares}")


async def group_rebalance():
    name = await topic("rebalance", 4)
    settings = {"partition_assignment_strategy": [RoundRobinPartitionAssignor]}
    members = [await consumer_of(name_of("rebalance"), name, **settings)]
    try:
        await until_assigned(members, [4])
        starting = asyncio.ensure_future(consumer_of(name_of("rebalance"), name, **settings))
        while not starting.done():  # it joins when the first one polls
            await members[0].getmany(timeout_ms=50)
        members.append(await starting)
        await until_assigned(members, [2, 2])
        await members.pop().stop()
        await until_assigned(members, [4])
    finally:
        for member in members:
            await member.stop()


async def group_cooperative():
    raise Skip("aiokafka has no cooperative assignor")


async def commit_and_resume():
    name = await topic("resume")
    where = TopicPartition(name, 0)
    await produce(name, [{"value": str(i).encode()} for i in range(20)])
    first = await consumer_of(name_of("resume"), name)
    try:
        await take(first, 12)
        await first.commit({where: (12, "a note")})
    finally:
        await first.stop()
    second = await consumer_of(name_of("resume"), name)
    try:
        expect_equal([m.value for m in await take(second, 8)], [str(i).encode() for i in range(12, 20)], "records")
        expect_equal(await second.committed(where), 12, "committed offset")
    finally:
        await second.stop()


async def partitions_of(name):
    return (await with_admin(lambda admin: admin.describe_topics([name])))[0]["partitions"]


async def admin_create_topic():
    name = await topic("created", 3, retention_ms="3600000")
    expect_equal([len(p["replicas"]) for p in await partitions_of(name)], [3, 3, 3], "replicas")
    expect_equal((await config_of(name))["retention.ms"][0], "3600000", "retention.ms")


async def admin_create_partitions():
    name = await topic("grown", 2)
    await with_admin(lambda admin: admin.create_partitions({name: NewPartitions(5)}))
    expect_equal(len(await partitions_of(name)), 5, "partitions")


async def delete_topic(name):
    response = await with_admin(lambda admin: admin.delete_topics([name]))
    for _, code, *_ in response.topic_error_codes:
        raise_code(code)


async def admin_delete_topic():
    name = await topic("deleted")
    await delete_topic(name)
    deadline = time.monotonic() + PATIENCE
    while name in await with_admin(lambda admin: admin.list_topics()):
        expect(time.monotonic() < deadline, "the topic is still listed")


async def config_of(name):
    """config -> (value, source)"""
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    responses = await with_admin(lambda admin: admin.describe_configs([resource]))
    code, text, _, _, entries = responses[0].resources[0]
    raise_code(code, text)
    return {entry[0]: (entry[1], entry[3]) for entry in entries}


async def admin_describe_configs():
    found = await config_of(await topic("described", retention_ms="7200000"))
    expect_equal(found["retention.ms"], ("7200000", DYNAMIC_TOPIC), "retention.ms")
    expect_equal(found["cleanup.policy"], ("delete", DEFAULT), "cleanup.policy")


async def admin_alter_configs():
    name = await topic("altered", segment_ms="8000000")
    resource = ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1800000"})
    responses = await with_admin(lambda admin: admin.alter_configs([resource]))
    for code, text, *_ in responses[0].resources:
        raise_code(code, text)
    found = await config_of(name)
    expect_equal(found["retention.ms"][0], "1800000", "retention.ms")
    expect_equal(found["segment.ms"][1], DEFAULT, "source of segment.ms, which AlterConfigs resets")


async def admin_describe_cluster():
    found = await with_admin(lambda admin: admin.describe_cluster())
    expect_equal(sorted(broker["node_id"] for broker in found["brokers"]), [1, 2, 3], "brokers")
    expect(found["controller_id"] in (1, 2, 3), "no controller")
    expect(found["cluster_id"], "no cluster id")


async def admin_groups():
    name = await topic("grouped")
    group = name_of("grouped")
    member = await consumer_of(group, name)
    try:
        await until_assigned([member], [1])
        listed = await with_admin(lambda admin: admin.list_consumer_groups())
        expect(group in [found[0] for found in listed], "the group is not listed")
        described = await with_admin(lambda admin: admin.describe_consumer_groups([group]))
        code, found, state, _, _, members, *_ = described[0].groups[0]
        expect_equal((code, found, state, len(members)), (0, group, "Stable", 1), "group")
    finally:
        await member.stop()


async def admin_reset_offsets():
    """aiokafka's admin cannot; a consumer outside of the group commits in its name."""
    name = await topic("reset")
    where = TopicPartition(name, 0)
    await produce(name, [{"value": str(i).encode()} for i in range(10)])
    outside = await consumer_of(name_of("reset"))
    outside.assign([where])
    try:
        await outside.commit({where: 2})
    finally:
        await outside.stop()
    found = await with_admin(lambda admin: admin.list_consumer_group_offsets(name_of("reset")))
    expect_equal(found[where].offset, 2, "committed offset")
    member = await consumer_of(name_of("reset"), name)
    try:
        expect_equal((await take(member, 1))[0].offset, 2, "first offset")
    finally:
        await member.stop()


async def admin_delete_group():
    raise Skip("aiokafka's admin has no such call")


async def admin_delete_records():
    name = await topic("records-deleted")
    where = TopicPartition(name, 0)
    await produce(name, [{"value": b"v"}] * 10)
    found = await with_admin(lambda admin: admin.delete_records({where: RecordsToDelete(6)}))
    expect_equal(found[where], 6, "low watermark")
    expect_equal(await watermarks_of(name), (6, 10), "watermarks")


async def error_topic_exists():
    await topic("twice")
    await expect_error(errors.TopicAlreadyExistsError, topic("twice"))


async def error_unknown_topic():
    await expect_error(errors.UnknownTopicOrPartitionError, delete_topic(name_of("nowhere")))


async def error_invalid_topic():
    await expect_error(errors.InvalidTopicError, topic("bad/name"))


async def error_replication_factor():
    await expect_error(errors.InvalidReplicationFactorError, topic("four-replicas", replicas=4))


async def error_bad_config():
    await expect_error(errors.InvalidConfigurationError, topic("bad-config", retention_ms="soon"))


async def error_record_too_large():
    name = await topic("small-records", max_message_bytes="10000")
    await expect_error(errors.MessageSizeTooLargeError, produce(name, [{"value": bytes(20000)}]))


async def error_offset_out_of_range():
    name = await topic("out-of-range")
    await produce(name, [{"value": b"v"}])
    await expect_error(errors.OffsetOutOfRangeError, read(name, 1, offset=100, auto_offset_reset="none"))


async def error_unknown_group():
    raise Skip("aiokafka's admin cannot delete groups")


CHECKS = [
    *((f"codec_{kind}", codec(None if kind == "none" else kind)) for kind in ("none", "gzip", "snappy", "lz4", "zstd")),
    *((check.__name__, check) for check in (
        recompression, group_rebalance, group_cooperative, keys_and_tombstones, headers, timestamps, log_append_time,
        order, idempotence, large_record, offsets_by_time, watermarks, seek, commit_and_resume, admin_create_topic,
        admin_create_partitions, admin_delete_topic, admin_describe_configs, admin_alter_configs,
        admin_describe_cluster, admin_groups, admin_reset_offsets, admin_delete_group, admin_delete_records,
        error_topic_exists, error_unknown_topic, error_invalid_topic, error_replication_factor, error_bad_config,
        error_record_too_large, error_offset_out_of_range, error_unknown_group)),
]


def blocking(check):
    return lambda: asyncio.run(check())


if __name__ == "__main__":
    sys.exit(1 if run_checks([(name, blocking(check)) for name, check in CHECKS]) else 0)
