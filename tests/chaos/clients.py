#!/usr/bin/env python3
"""The clients of a chaos run, in a process of their own: what they do and see goes to histories.

Runs until a line comes on standard input; then the producers finish what they began, the consumers read to
the end, everything is read once more from the start, and the process ends.
"""
import argparse
import os
import pathlib
import random
import sys
import threading
import time

import confluent_kafka
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from history import Writer, make_message, read_message

IN_FLIGHT_MAX = 100  # messages of one producer; more wait, as an outage would only make them pile up
LARGE_BYTES = 40000  # more than the topic takes (see run.py): refused for certain
FINISH_SECONDS = 60
POLL_MESSAGES_MAX = 500

# The ways of librdkafka that keep an outage short to see.
EVERY_CLIENT = {"log_level": 0, "socket.timeout.ms": 3000, "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.interval.ms": 2000,
                "topic.metadata.refresh.fast.interval.ms": 50, "socket.connection.setup.timeout.ms": 1500}

PRODUCERS = {
    "idempotent-1": {"acks": "all", "enable.idempotence": True, "retry.backoff.ms": 20},
    "idempotent-2": {"acks": "all", "enable.idempotence": True, "linger.ms": 20},
    "plain-all": {"acks": "all", "message.timeout.ms": 8000},
    "plain-1": {"acks": "1", "message.timeout.ms": 8000},
    "once": {"acks": "all", "retries": 0, "message.timeout.ms": 5000},
}

# Codes that clients and brokers give for what was never appended: those of librdkafka itself, and those of a
# broker that judged before the append.  A timeout or a lost connection is neither.  What a broker says is of
# the last attempt alone, so it is believed of producers that make only one.
REFUSED_BY_CLIENT = {KafkaError._QUEUE_FULL, KafkaError._PURGE_QUEUE, KafkaError._UNKNOWN_PARTITION,
                     KafkaError._UNKNOWN_TOPIC}
REFUSED_BY_BROKER = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.NOT_LEADER_FOR_PARTITION,
                     KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_ENOUGH_REPLICAS,
                     KafkaError.INVALID_MSG, KafkaError.UNKNOWN_TOPIC_OR_PART,
                     KafkaError.INVALID_TIMESTAMP}


def definite(error, is_only_attempt):
    if error.code() in REFUSED_BY_CLIENT:
        return "client" if is_only_attempt else None
    return "broker" if error.code() in REFUSED_BY_BROKER and is_only_attempt else None


class Client:
    """A thread with a history."""

    def __init__(self, world, name, **begin):
        self.world = world
        self.name = name
        self.history = Writer(world.histories, name)
        self.history.note("begin", **begin)
        self.failure = None
        self.thread = threading.Thread(target=self.run_noted, daemon=True)

    def run_noted(self):
        try:
            self.run()
        except Exception as failure:  # told to the main thread, which fails the run
            self.failure = f"{self.name}: {type(failure).__name__}: {failure}"
        finally:
            self.history.close()

    def run(self):
        raise NotImplementedError


class Producer(Client):
    def __init__(self, world, name, settings, rate):
        self.is_idempotent = settings.get("enable.idempotence", False)
        # A plain producer's message may lie in a broken connection and arrive after later ones.
        super().__init__(world, name, kind="producer", acks=settings["acks"],
                         idempotent=self.is_idempotent, ordered=self.is_idempotent)
        self.interval = 1 / rate
        self.has_one_attempt = settings.get("retries") == 0
        self.open = 0
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": world.bootstrap, "request.timeout.ms": 3000, **EVERY_CLIENT, **settings})

    def send(self, number, partition):
        value = f"{self.name}:{number}"
        size = LARGE_BYTES if self.has_one_attempt and number % 200 == 199 else 100
        self.history.note("send", partition=partition, value=value)
        self.open += 1
        self.producer.produce(
            self.world.topic, make_message(value, size), partition=partition,
            on_delivery=lambda error, message: self.delivered(value, error, message))

    def delivered(self, value, error, message):
        self.open -= 1
        if error is not None:
            self.history.note("failed", value=value, error=error.name(),
                              definite=definite(error, self.has_one_attempt))
            return
        offset = message.offset()
        self.history.note("acked", value=value, offset=offset if offset is not None and offset >= 0 else None)

    def run(self):
        number = 0
        due = time.monotonic()
        while not self.world.stopping.is_set():
            self.producer.poll(max(0, min(0.01, due - time.monotonic())))
            if time.monotonic() < due or self.open >= IN_FLIGHT_MAX:
                continue
            due = max(due + self.interval, time.monotonic() - 1)
            self.send(number, number % self.world.partitions)
            number += 1
        left = self.producer.flush(FINISH_SECONDS)
        if left:
            raise RuntimeError(f"{left} messages had no answer {FINISH_SECONDS} s after the end")


class Consumer(Client):
    """Reads the partitions assigned to it.  first: where to begin; hops: begins anew, somewhere, every so
    many seconds."""

    def __init__(self, world, name, first, hops=None):
        super().__init__(world, name, kind="consumer")
        self.first = first
        self.hops = hops
        self.positions = {}
        self.chance = random.Random(f"{name} {world.seed}")
        self.consumer = confluent_kafka.Consumer({
            "bootstrap.servers": world.bootstrap, "group.id": "none", "enable.auto.commit": False,
            "auto.offset.reset": "error", "fetch.wait.max.ms": 100, "fetch.error.backoff.ms": 50,
            "enable.partition.eof": False, **EVERY_CLIENT})

    def assign(self, positions):
        self.positions = dict(positions)
        self.history.note("assign", positions=positions)
        self.consumer.assign([TopicPartition(self.world.topic, partition, offset)
                              for partition, offset in positions.items()])

    def poll(self):
        found = {}
        for message in self.consumer.consume(POLL_MESSAGES_MAX, timeout=0.1):
            if message.error() is None:
                found.setdefault(message.partition(), []).append(
                    [message.offset(), read_message(message.value())])
            elif message.error().code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                raise RuntimeError(f"its position was not accepted: {message.error()}")
        for partition, records in found.items():
            self.history.note("poll", partition=partition, records=records)
            self.positions[partition] = records[-1][0] + 1

    def run(self):
        partitions = range(self.world.partitions)
        self.assign({partition: self.first for partition in partitions})
        hop_at = time.monotonic() + (self.hops or 0)
        while not self.world.stopping.is_set():
            self.poll()
            if self.hops and time.monotonic() > hop_at:
                hop_at += self.hops
                self.assign({partition: self.chance.randrange(max(1, self.positions[partition]))
                             for partition in partitions})
        self.read_to(self.world.wait_for_ends())
        self.consumer.close()

    def read_to(self, ends):
        until = time.monotonic() + FINISH_SECONDS
        while any(self.positions.get(partition, 0) < end for partition, end in ends.items()):
            if time.monotonic() > until:
                raise RuntimeError(f"read up to {self.positions}, of {ends}, in {FINISH_SECONDS} s")
            self.poll()


class Ends(Client):
    """Asks where the partitions begin and end, again and again; several connections in its life, as a
    client that is cut off from a leader asks it again when it may."""

    def __init__(self, world, name):
        super().__init__(world, name, kind="ends")
        self.consumer = confluent_kafka.Consumer({"bootstrap.servers": world.bootstrap, "group.id": "none",
                                                  **EVERY_CLIENT})

    def ask(self, partition, timeout):
        started = time.monotonic()
        low, high = self.consumer.get_watermark_offsets(TopicPartition(self.world.topic, partition),
                                                        timeout=timeout)
        self.history.note("ends", partition=partition, started=started, low=low, high=high)
        return high

    def run(self):
        while not self.world.stopping.wait(0.05):
            for partition in range(self.world.partitions):
                try:
                    self.ask(partition, 2)
                except confluent_kafka.KafkaException:
                    continue  # nobody answered in time
        self.world.wait_for_producers()
        self.world.set_ends({partition: self.ask(partition, FINISH_SECONDS)
                             for partition in range(self.world.partitions)})
        self.consumer.close()


class Topics(Client):
    """Creates topics and deletes two of three again."""

    def __init__(self, world, name):
        super().__init__(world, name, kind="topics")
        self.admin = AdminClient({"bootstrap.servers": world.bootstrap, **EVERY_CLIENT})

    def is_done(self, futures):
        try:
            for future in futures.values():
                future.result()
            return True
        except confluent_kafka.KafkaException:
            return False  # whether it was done is not known

    def run(self):
        number = 0
        while not self.world.stopping.wait(0.5):
            topic = f"passing{number}"
            number += 1
            if self.is_done(self.admin.create_topics([NewTopic(topic, 2, 3)], request_timeout=4)):
                self.history.note("created", topic=topic)
            if number % 3:
                self.history.note("deleting", topic=topic)
                if self.is_done(self.admin.delete_topics([topic], request_timeout=4)):
                    self.history.note("deleted", topic=topic)
        self.world.wait_for_producers()
        topics = self.admin.list_topics(timeout=FINISH_SECONDS).topics
        self.history.note("listed", topics=sorted(topics), last=True)


class World:
    def __init__(self, options):
        self.topic = options.topic
        self.partitions = options.partitions
        self.bootstrap = options.bootstrap
        self.histories = options.histories
        self.seed = options.seed
        self.stopping = threading.Event()
        self.ends = {}
        self.ends_are_known = threading.Event()
        self.producers = [Producer(self, name, settings, options.rate)
                          for name, settings in PRODUCERS.items()]
        self.others = [Consumer(self, "from-the-start", 0), Consumer(self, "hopping", 0, hops=3),
                       Consumer(self, "from-the-end", confluent_kafka.OFFSET_END), Ends(self, "ends"),
                       Topics(self, "topics")]

    def wait_for_producers(self):
        for producer in self.producers:
            producer.thread.join()

    def set_ends(self, ends):
        self.ends = ends
        self.ends_are_known.set()

    def wait_for_ends(self):
        if not self.ends_are_known.wait(3 * FINISH_SECONDS):
            raise RuntimeError("the ends were never told")
        return self.ends

    def run(self):
        clients = self.producers + self.others
        for client in clients:
            client.thread.start()
        sys.stdin.readline()
        self.stopping.set()
        for client in clients:
            client.thread.join()
        failures = [client.failure for client in clients if client.failure]
        if not failures:
            last = Consumer(self, "last", 0)
            last.run_noted()
            failures += [last.failure] if last.failure else []
            with_end = Writer(self.histories, "end")
            for partition, high in self.ends.items():
                with_end.note("finished", partition=partition, high=high)
            with_end.close()
        return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--histories", type=pathlib.Path, required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="messages a second of each producer")
    parser.add_argument("--seed", type=int, required=True)
    failures = World(parser.parse_args()).run()
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.stdout.flush()
    # librdkafka's threads are not waited for: what matters is in the histories.
    os._exit(1 if failures else 0)


if __name__ == "__main__":
    main()
