"""Acknowledged load on one partition, and the proof that all of it is there, in order, once."""
import threading

import confluent_kafka

from cluster import PATIENCE_SECONDS, wait_for


class Load:
    """One idempotent producer on one partition, sending numbers until told to stop."""

    def __init__(self, cluster, topic, partition=0):
        self.topic = topic
        self.partition = partition
        self.acknowledged = []
        self.failed = []
        self.stopping = threading.Event()
        self.is_abandoned = False
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True,
            "linger.ms": 1, "message.timeout.ms": int(PATIENCE_SECONDS * 1000),
            "socket.timeout.ms": 5000, "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20,
            "topic.metadata.refresh.interval.ms": 1000, "log_level": 0})
        cluster.loads.append(self)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def on_delivery(self, error, message):
        if error is None:
            self.acknowledged.append((message.offset(), int(message.value())))
        else:
            self.failed.append((str(error), int(message.value())))

    def run(self):
        number = 0
        while not self.stopping.is_set():
            if number - len(self.acknowledged) - len(self.failed) < 200:
                self.producer.produce(self.topic, str(number).encode(), partition=self.partition,
                                      on_delivery=self.on_delivery)
                number += 1
            self.producer.poll(0.001)
        if self.is_abandoned:
            self.producer.purge()
        self.producer.flush(PATIENCE_SECONDS)

    def count(self):
        return len(self.acknowledged)

    def wait_for_progress(self, amount=200):
        target = self.count() + amount
        wait_for(lambda: self.count() >= target, f"{amount} more acknowledgements")

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def abandon(self):
        """For the end of a cluster: what is left of a test must not find the next one's brokers, which may have the
        same ports.  A producer that only lives asks for its topic once a second, and so makes it."""
        self.is_abandoned = True
        self.stop()
        self.producer = None


def read_all(cluster, topic, partition=0):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "unused",
                                         "enable.auto.commit": False, "enable.partition.eof": True,
                                         "log_level": 0})
    where = confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
    consumer.assign([where])
    found = []
    while True:
        message = consumer.poll(PATIENCE_SECONDS)
        assert message is not None, "the consumer is stuck"
        if message.error():
            if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                break
            continue
        found.append((message.offset(), int(message.value())))
    consumer.close()
    return found


def check(cluster, load):
    assert not load.failed
    assert load.acknowledged
    found = read_all(cluster, load.topic, load.partition)
    assert [offset for offset, _ in found] == list(range(len(found))), "offsets are dense from 0"
    values = [value for _, value in found]
    assert values == sorted(set(values)), "in order, once"
    stored = dict(found)
    known = set(values)
    for offset, value in load.acknowledged:
        # librdkafka acknowledges a message without its place when a later one proves that it is there.
        is_stored = value in known if offset is None else stored.get(offset) == value
        assert is_stored, f"acknowledged {value} at {offset}, of {len(found)} found, {found[:2]}"
