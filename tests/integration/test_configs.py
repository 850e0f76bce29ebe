"""Configs as administrators change them: told truly, followed by every broker without a restart, and kept."""
import json
import time

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors
import pytest
from cluster import wait_for
from messages import Client

RESOURCE = confluent_kafka.admin.ConfigResource


def administer(cluster):
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": cluster.bootstrap})


def describe(admin, topic):
    return list(admin.describe_configs([RESOURCE(RESOURCE.Type.TOPIC, topic)]).values())[0].result(30)


def replace(admin, topic, **configs):
    resource = RESOURCE(RESOURCE.Type.TOPIC, topic,
                        set_config={name.replace("_", "."): value for name, value in configs.items()})
    list(admin.alter_configs([resource]).values())[0].result(30)


def produce(cluster, topic, count, value_bytes=100, **options):
    """The errors of the deliveries."""
    errors = []
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 0, **options})
    for _ in range(count):
        producer.produce(topic, b"x" * value_bytes, partition=0,
                         on_delivery=lambda error, _: errors.append(error and error.code()))
        producer.flush(60)
    assert len(errors) == count
    return errors


def test_confluent_kafka_alters_a_topic(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name, replication=3, config="segment.ms=70000")
    admin = administer(shared_cluster)
    replace(admin, topic_name, max_message_bytes="1000", retention_ms="123456")

    def altered():
        values = describe(admin, topic_name)
        return values if values["max.message.bytes"].value == "1000" else None
    values = wait_for(altered, "the altered config")
    assert values["max.message.bytes"].source == confluent_kafka.admin.ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert values["segment.ms"].value == "604800000"  # this request replaces all of them
    assert values["segment.ms"].is_default
    too_large = confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    wait_for(lambda: produce(shared_cluster, topic_name, 1, 2000, retries=0) == [too_large],
             "the new bound on messages")
    assert produce(shared_cluster, topic_name, 1, 100) == [None]
    replace(admin, topic_name)
    wait_for(lambda: produce(shared_cluster, topic_name, 1, 2000, retries=0) == [None], "the old bound again")


def test_wrong_configs_are_refused_by_name(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name)
    admin = administer(shared_cluster)
    for configs, code, text in (
            ({"retention_ms": "soon"}, confluent_kafka.KafkaError.INVALID_CONFIG, "retention.ms"),
            ({"no_such": "1"}, confluent_kafka.KafkaError.INVALID_CONFIG, "no.such")):
        with pytest.raises(confluent_kafka.KafkaException) as refused:
            replace(admin, topic_name, **configs)
        assert refused.value.args[0].code() == code and text in refused.value.args[0].str()
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        replace(admin, topic_name + "-that-is-not", retention_ms="1")
    assert refused.value.args[0].code() == confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART


def test_kafka_python_alters_a_topic(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name)
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=shared_cluster.bootstrap.split(","))
    resource = kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, topic_name,
                                          {"retention.ms": "777000"})
    answer = admin.alter_configs([resource])
    assert [row[0] for row in answer.resources] == [0]

    def retention():
        described = admin.describe_configs(
            [kafka.admin.ConfigResource(kafka.admin.ConfigResourceType.TOPIC, topic_name)])
        return {row[0]: row[1] for row in described[0].resources[0][4]}["retention.ms"]
    wait_for(lambda: retention() == "777000", "the altered config")
    admin.close()


def test_retention_and_segments_follow_without_a_restart(make_cluster):
    cluster = make_cluster(retention_check_ms=300).start()
    cluster.create_topic("t", replication=3)
    admin = administer(cluster)
    assert produce(cluster, "t", 30, 1000) == [None] * 30
    consumer = confluent_kafka.Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "none"})
    where = confluent_kafka.TopicPartition("t", 0)
    assert consumer.get_watermark_offsets(where, timeout=30) == (0, 30)
    replace(admin, "t", segment_bytes="4000", retention_bytes="9000")
    wait_for(lambda: describe(admin, "t")["segment.bytes"].value == "4000", "the altered config")
    assert produce(cluster, "t", 30, 1000) == [None] * 30
    wait_for(lambda: consumer.get_watermark_offsets(where, timeout=30)[0] >= 40, "old segments to be deleted")
    consumer.close()
    for broker in cluster.brokers.values():  # and it is kept
        broker.stop()
    for broker in cluster.brokers.values():
        broker.start()
    cluster.wait_until_ready()
    values = describe(admin, "t")
    assert (values["segment.bytes"].value, values["retention.bytes"].value) == ("4000", "9000")


def broker_configs(admin, number):
    resource = RESOURCE(RESOURCE.Type.BROKER, str(number))
    return list(admin.describe_configs([resource]).values())[0].result(30)


def test_pitfall_12_every_config_is_described_with_its_true_source(make_cluster):
    source = confluent_kafka.admin.ConfigSource
    cluster = make_cluster(topic_defaults="[min.insync.replicas=2, cleanup.policy=delete]",
                           default_partitions=4).start()
    admin = administer(cluster)
    created = admin.create_topics([confluent_kafka.admin.NewTopic("t", 1, 3,
                                                                  config={"cleanup.policy": "compact"})])
    created["t"].result(30)
    wait_for(lambda: "t" in admin.list_topics(timeout=30).topics, "the topic")
    topic = describe(admin, "t")
    assert (topic["cleanup.policy"].value, topic["cleanup.policy"].source) == (
        "compact", source.DYNAMIC_TOPIC_CONFIG.value)
    assert (topic["min.insync.replicas"].value, topic["min.insync.replicas"].source) == (
        "2", source.STATIC_BROKER_CONFIG.value)
    assert topic["retention.ms"].source == source.DEFAULT_CONFIG.value
    assert set(topic["cleanup.policy"].synonyms) == {"cleanup.policy", "log.cleanup.policy"}
    broker = broker_configs(admin, 2)
    for name, value in (("num.partitions", "4"), ("min.insync.replicas", "2"), ("node.id", "2"),
                        ("default.replication.factor", "3"), ("log.retention.ms", "604800000"),
                        ("log.retention.hours", "168"), ("auto.create.topics.enable", "true"),
                        ("offsets.topic.num.partitions", "50"), ("message.max.bytes", "1048588"),
                        ("broker.id", "2"), ("log.dirs", str(cluster.brokers[2].directory)),
                        ("listeners", "PLAINTEXT://" + cluster.brokers[2].kafka)):
        assert broker[name].value == value, name
    assert broker["num.partitions"].source == source.STATIC_BROKER_CONFIG.value
    assert broker["num.partitions"].is_read_only and not broker["log.retention.ms"].is_read_only
    assert broker["ssl.keystore.password"].is_sensitive and broker["ssl.keystore.password"].value is None
    assert len(broker) > 300


def test_brokers_are_configured_while_they_run(make_cluster):
    source = confluent_kafka.admin.ConfigSource
    cluster = make_cluster().start()
    cluster.create_topic("t", replication=3)
    admin = administer(cluster)

    def alter(number, **configs):
        resource = RESOURCE(RESOURCE.Type.BROKER, number,
                            set_config={name.replace("_", "."): value for name, value in configs.items()})
        list(admin.alter_configs([resource]).values())[0].result(30)

    leader = cluster.leader_of("t").number
    alter(str(leader), message_max_bytes="1000")
    too_large = confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    wait_for(lambda: produce(cluster, "t", 1, 2000, retries=0) == [too_large], "the bound on messages")
    told = broker_configs(admin, leader)["message.max.bytes"]
    assert (told.value, told.source) == ("1000", source.DYNAMIC_BROKER_CONFIG.value)
    other = broker_configs(admin, leader % 3 + 1)["message.max.bytes"]
    assert other.source == source.DEFAULT_CONFIG.value
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        alter(str(leader), num_partitions="3")
    assert refused.value.args[0].code() == confluent_kafka.KafkaError.INVALID_REQUEST
    assert "config file" in refused.value.args[0].str()
    alter(str(leader))
    wait_for(lambda: produce(cluster, "t", 1, 2000, retries=0) == [None], "no bound")


def test_the_tool_configures_topics(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name + "-list", config="cleanup.policy=compact,delete,segment.ms=7000")
    text = shared_cluster.tool("topic", "describe", topic_name + "-list").stdout
    assert "  cleanup.policy=compact,delete  (topic)\n  segment.ms=7000  (topic)\n" in text
    result = shared_cluster.tool("topic", "create", "x", "--config", "compact,segment.ms=7", check=False)
    assert result.returncode == 2 and "is not KEY=VALUE" in result.stderr
    shared_cluster.create_topic(topic_name, config="segment.ms=70000,retention.ms=5000000")

    def configs():
        described = json.loads(shared_cluster.tool("topic", "describe", topic_name, "-o", "json").stdout)
        return {name: row["value"] for name, row in described["configs"].items() if row["source"] == "topic"}
    assert configs() == {"segment.ms": "70000", "retention.ms": "5000000"}
    told = shared_cluster.tool("topic", "configure", topic_name, "cleanup.policy=compact,delete",
                               "max.message.bytes=5000", "--delete", "segment.ms").stdout
    assert told == f"configured {topic_name}\n"
    wanted = {"retention.ms": "5000000", "cleanup.policy": "compact,delete", "max.message.bytes": "5000"}
    wait_for(lambda: configs() == wanted, "the altered configs")
    text = shared_cluster.tool("topic", "describe", topic_name).stdout
    assert "  max.message.bytes=5000  (topic)\n" in text and "segment.bytes" not in text
    told = json.loads(shared_cluster.tool("topic", "configure", topic_name, "retention.ms=1", "--dry-run",
                                          "-o", "json").stdout)
    assert told["result"] == "would configure" and configs() == wanted
    for arguments, status, text in (
            (("retention.ms=soon",), 1, "retention.ms: the value 'soon' is not a whole number"),
            (("no.such=1",), 1, "there is no topic config 'no.such'"),
            (("retention.ms",), 2, "'retention.ms' is not KEY=VALUE"),
            ((), 2, "needs KEY=VALUE or --delete KEY"),
            (("retention.ms=1", "--delete", "retention.ms"), 1, "retention.ms is given twice")):
        result = shared_cluster.tool("topic", "configure", topic_name, *arguments, check=False)
        assert result.returncode == status and text in result.stderr, arguments
    result = shared_cluster.tool("topic", "configure", "no-such-topic", "retention.ms=1", check=False)
    assert result.returncode == 1 and "no topic of this name" in result.stderr
    assert configs() == wanted


def read_all(cluster, topic, count):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "none",
                                         "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    messages = []
    while len(messages) < count:
        message = consumer.poll(30)
        assert message is not None, "the consumer is stuck"
        if not message.error():
            messages.append(message)
    consumer.close()
    return messages


CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def codecs_on_disk(broker):
    """The compression of each batch in a broker's one-partition logs of this test's topic."""
    seen = []
    for path in sorted(broker.directory.rglob("*.log")):
        data = path.read_bytes()
        at = 0
        while at + 61 <= len(data):
            length = int.from_bytes(data[at + 8:at + 12], "big")
            if data[at + 16] != 2 or length < 49:
                break
            seen.append(data[at + 22] & 7)
            at += 12 + length
    return seen


@pytest.mark.parametrize("wanted", CODECS)
def test_the_broker_compresses_as_the_topic_wants(shared_cluster, topic_name, wanted):
    topic = topic_name.replace("[", "-").replace("]", "")
    shared_cluster.create_topic(topic, replication=3, config=f"compression.type={wanted}")
    values = []
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = confluent_kafka.Producer({"bootstrap.servers": shared_cluster.bootstrap, "linger.ms": 50,
                                             "compression.type": codec, "enable.idempotence": True})
        for i in range(200):
            values.append(f"{codec}-{i}-".encode() + b"v" * 200)
            producer.produce(topic, values[-1], key=str(i), partition=0)
        assert producer.flush(60) == 0
    messages = read_all(shared_cluster, topic, 1000)
    assert [message.value() for message in messages] == values
    assert [message.offset() for message in messages] == list(range(1000))
    consumer = kafka.KafkaConsumer(topic, bootstrap_servers=shared_cluster.bootstrap.split(","),
                                   auto_offset_reset="earliest", enable_auto_commit=False,
                                   consumer_timeout_ms=20000)
    if wanted in ("uncompressed", "gzip"):  # for the others kafka-python needs more packages
        assert [next(consumer).value for _ in range(1000)] == values
    consumer.close()


def test_what_is_stored_is_compressed_as_the_topic_wants(make_cluster):
    cluster = make_cluster(size=1, tls=False).start()
    for wanted, number in CODECS.items():
        cluster.create_topic(wanted, config=f"compression.type={wanted}")
        before = codecs_on_disk(cluster.brokers[1])
        for codec in ("none", "gzip", "lz4"):
            assert produce(cluster, wanted, 2, 3000, **{"compression.type": codec}) == [None, None]
        stored = codecs_on_disk(cluster.brokers[1])
        assert stored.count(number) >= before.count(number) + 6, wanted
        for other in set(CODECS.values()) - {number, 0}:  # 0: the controller's own, too
            assert stored.count(other) == before.count(other), wanted


def test_log_append_time_everywhere(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name, replication=3, config="message.timestamp.type=LogAppendTime")
    begin_ms = int(time.time() * 1000)
    stamps = []
    for codec in ("none", "lz4"):
        producer = confluent_kafka.Producer({"bootstrap.servers": shared_cluster.bootstrap, "linger.ms": 20,
                                             "compression.type": codec})
        for i in range(10):
            producer.produce(topic_name, b"v" * 300, partition=0, timestamp=1000 + i,
                             on_delivery=lambda error, message: stamps.append(message.timestamp()))
        assert producer.flush(60) == 0
    end_ms = int(time.time() * 1000)
    append_time = confluent_kafka.TIMESTAMP_LOG_APPEND_TIME
    messages = read_all(shared_cluster, topic_name, 20)
    for kind, stamp in stamps + [message.timestamp() for message in messages]:
        assert kind == append_time and begin_ms - 1000 <= stamp <= end_ms + 1000
    assert messages[10].timestamp()[1] > messages[9].timestamp()[1]
    consumer = confluent_kafka.Consumer({"bootstrap.servers": shared_cluster.bootstrap, "group.id": "none"})

    def offset_at(timestamp_ms):
        where = confluent_kafka.TopicPartition(topic_name, 0, timestamp_ms)
        return consumer.offsets_for_times([where], timeout=30)[0].offset
    assert offset_at(1005) == 0  # what the producer said counts for nothing
    assert offset_at(messages[9].timestamp()[1] + 1) == 10
    assert offset_at(messages[10].timestamp()[1]) == 10
    consumer.close()


TOPIC, BROKER = 2, 4


def set_via(client, kind, name, config, value):
    answer = client.ask("incremental_alter_configs", 1, resources=[
        {"resource_type": kind, "resource_name": name,
         "configs": [{"name": config, "config_operation": 0, "value": value}]}])
    assert [response["error_code"] for response in answer["responses"]] == [0]


def replace_via(client, kind, name, config, value):
    answer = client.ask("alter_configs", 2, resources=[
        {"resource_type": kind, "resource_name": name, "configs": [{"name": config, "value": value}]}])
    assert [response["error_code"] for response in answer["responses"]] == [0]


def value_via(client, kind, name, config):
    answer = client.ask("describe_configs", 4, resources=[
        {"resource_type": kind, "resource_name": name, "configuration_keys": [config]}])
    (result,) = answer["results"]
    assert result["error_code"] == 0
    (told,) = result["configs"]
    return told["value"]


def test_every_broker_tells_the_new_config_as_soon_as_it_was_altered(shared_cluster, topic_name):
    """Whoever alters, whichever is asked next, without a pause."""
    shared_cluster.create_topic(topic_name, replication=1)
    clients = [Client(broker.kafka_port) for broker in shared_cluster.brokers.values()]
    for number in range(120):
        altering = clients[number % 3]
        alter = set_via if number % 2 == 0 else replace_via
        value = str(100000 + number)
        alter(altering, TOPIC, topic_name, "retention.ms", value)
        assert [value_via(client, TOPIC, topic_name, "retention.ms") for client in clients] == [value] * 3
        if number % 10 == 0:
            set_via(altering, BROKER, "", "log.retention.ms", value)
            assert [value_via(client, BROKER, str(id), "log.retention.ms")
                    for id, client in enumerate(clients, 1)] == [value] * 3


def test_a_broker_that_is_gone_does_not_hold_up_an_altered_config(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("t", replication=3)
    away = next(b for b in cluster.brokers.values() if b is not cluster.controller())
    away.kill()
    clients = [Client(b.kafka_port) for b in cluster.brokers.values() if b is not away]
    wait_for(lambda: len(clients[0].ask("metadata", 12, topics=[])["brokers"]) == 2, "it is known to be gone")
    for number in range(10):
        began = time.monotonic()
        set_via(clients[number % 2], TOPIC, "t", "retention.ms", str(5000 + number))
        assert time.monotonic() - began < 1.5  # what is not waited for to the end
        assert [value_via(client, TOPIC, "t", "retention.ms") for client in clients] == [str(5000 + number)] * 2


def test_what_has_configs_is_listed_by_every_broker(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name, replication=3)
    for broker in shared_cluster.brokers.values():
        with Client(broker.kafka_port) as client:
            def listed(*types):
                answer = client.ask("list_config_resources", 1, resource_types=list(types))
                assert answer["error_code"] == 0
                return {(each["resource_type"], each["resource_name"]) for each in answer["config_resources"]}
            wait_for(lambda: (TOPIC, topic_name) in listed(), "the topic")
            assert listed(BROKER) == {(BROKER, "1"), (BROKER, "2"), (BROKER, "3")}
            assert {type for type, _ in listed()} == {TOPIC, BROKER}
            assert client.ask("list_config_resources", 0)["config_resources"] == []
            transactions = client.ask("list_transactions", 2, state_filters=["Ongoing", "Nowhere"],
                                      transactional_id_pattern="pay.*")
            assert transactions["transaction_states"] == []
            assert transactions["unknown_state_filters"] == ["Nowhere"]
            described = client.ask("describe_transactions", 0, transactional_ids=["payments"])["transaction_states"]
            assert [(each["transactional_id"], each["error_code"]) for each in described] == [("payments", 105)]
