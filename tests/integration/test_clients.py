"""Debian's Python clients, with partitions assigned by hand."""
import confluent_kafka
import confluent_kafka.admin
import kafka
import pytest


def test_confluent_kafka(shared_cluster, topic_name):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": shared_cluster.bootstrap})
    created = admin.create_topics([confluent_kafka.admin.NewTopic(topic_name, 3, 3)], operation_timeout=20)
    created[topic_name].result(30)
    failures = []
    producer = confluent_kafka.Producer({"bootstrap.servers": shared_cluster.bootstrap,
                                         "enable.idempotence": True})
    for i in range(3000):
        producer.produce(topic_name, f"v{i}", key=f"k{i}", partition=i % 3, headers={"n": str(i)},
                         on_delivery=lambda error, _: error and failures.append(error))
        producer.poll(0)
    assert producer.flush(60) == 0 and not failures
    consumer = confluent_kafka.Consumer({"bootstrap.servers": shared_cluster.bootstrap, "group.id": "none",
                                         "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(topic_name, p, 0) for p in range(3)])
    seen = {}
    while len(seen) < 3000:
        message = consumer.poll(30)
        assert message is not None, "the consumer is stuck"
        if message.error():
            continue
        number = int(message.value()[1:])
        assert message.key() == f"k{number}".encode()
        assert message.headers() == [("n", str(number).encode())]
        assert message.partition() == number % 3 and message.offset() == number // 3
        seen[number] = message
    for partition in range(3):
        where = confluent_kafka.TopicPartition(topic_name, partition)
        assert consumer.get_watermark_offsets(where) == (0, 1000)
    times = consumer.offsets_for_times(
        [confluent_kafka.TopicPartition(topic_name, 0, seen[0].timestamp()[1])])
    assert times[0].offset == 0
    consumer.close()
    configs = admin.describe_configs(
        [confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ConfigResource.Type.TOPIC, topic_name)])
    values = list(configs.values())[0].result(30)
    assert values["cleanup.policy"].value == "delete"
    grown = admin.create_partitions([confluent_kafka.admin.NewPartitions(topic_name, 5)])
    grown[topic_name].result(30)
    assert len(admin.list_topics(topic_name, 30).topics[topic_name].partitions) == 5
    admin.delete_topics([topic_name])[topic_name].result(30)


@pytest.mark.parametrize("codec", [None, "gzip"])
def test_kafka_python(shared_cluster, topic_name, codec):
    shared_cluster.create_topic(topic_name, partitions=2)
    servers = shared_cluster.bootstrap.split(",")
    producer = kafka.KafkaProducer(bootstrap_servers=servers, acks="all", compression_type=codec, retries=5)
    sent = [producer.send(topic_name, f"v{i}".encode(), partition=i % 2) for i in range(500)]
    producer.flush(60)
    assert {future.get(30).offset for future in sent} == set(range(250))
    producer.close()
    consumer = kafka.KafkaConsumer(bootstrap_servers=servers, consumer_timeout_ms=20000,
                                   enable_auto_commit=False)
    partitions = [kafka.TopicPartition(topic_name, p) for p in range(2)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    seen = []
    for message in consumer:
        seen.append((message.partition, message.offset, message.value))
        if len(seen) == 500:
            break
    assert sorted(seen) == sorted((i % 2, i // 2, f"v{i}".encode()) for i in range(500))
    assert consumer.end_offsets(partitions) == {partitions[0]: 250, partitions[1]: 250}
    consumer.close()


def test_the_example_program(shared_cluster):
    import subprocess
    from cluster import BUILD
    result = subprocess.run([BUILD / "examples" / "topic_management", shared_cluster.bootstrap],
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
