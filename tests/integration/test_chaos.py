"""Faults of every kind, one after the other, under acknowledged load on several partitions, while
other topics come and go; the brokers have different numbers of shards."""
import signal
import threading
import time

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from cluster import wait_for
from load import Load, check

SHARDS = {1: 1, 2: 2, 3: 2}
PARTITIONS = {"even": 2, "odd": 1}
PAUSE_SECONDS = 1.5  # longer than an election takes


class Churn:
    """Creates and deletes topics until told to stop; what a fault does to one request is its lot."""

    def __init__(self, cluster):
        self.admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "socket.timeout.ms": 3000,
                                  "log_level": 0})
        self.deleted = set()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def ask(self, futures):
        try:
            for future in futures.values():
                future.result()
            return True
        except confluent_kafka.KafkaException:
            return False

    def run(self):
        number = 0
        while not self.stopping.wait(0.1):
            name = f"passing{number}"
            number += 1
            self.ask(self.admin.create_topics([NewTopic(name, 3, 3)], request_timeout=4))
            if number % 3 and self.ask(self.admin.delete_topics([name], request_timeout=4)):
                self.deleted.add(name)

    def stop(self):
        self.stopping.set()
        self.thread.join()


def kill(*victims):
    for victim in victims:
        victim.kill()
    for victim in victims:
        victim.start()


def kill_often(victim):
    for _ in range(3):
        kill(victim)


def pause(victim):
    victim.process.send_signal(signal.SIGSTOP)
    time.sleep(PAUSE_SECONDS)  # the fault itself, not a wait for something
    victim.process.send_signal(signal.SIGCONT)


def restart(victim):
    assert victim.stop() == 0
    victim.start()


FAULTS = [
    lambda cluster: kill(cluster.leader_of("odd")),
    lambda cluster: pause(cluster.leader_of("even", 0)),
    lambda cluster: restart(cluster.controller()),
    lambda cluster: kill(*cluster.brokers.values()),
    lambda cluster: kill(cluster.brokers[1], cluster.brokers[2]),
    lambda cluster: kill_often(cluster.leader_of("even", 1)),
    lambda cluster: restart(cluster.leader_of("odd")),
    lambda cluster: pause(cluster.controller()),
    lambda cluster: kill(*cluster.brokers.values()),
]


def groups_by_partition(cluster):
    found = {}
    for broker in cluster.brokers.values():
        for group in broker.status()["groups"]:
            if "topic" in group:
                found.setdefault((group["topic"], group["partition"]), []).append(group)
    return found


def metadata_is_true(cluster, deleted):
    """Every broker names the leaders that lead, and the groups that run are those of the topics."""
    groups = groups_by_partition(cluster)
    for broker in cluster.brokers.values():
        topics = AdminClient({"bootstrap.servers": broker.kafka,
                              "log_level": 0}).list_topics(timeout=10).topics
        told = {(name, index): partition.leader for name, topic in topics.items()
                for index, partition in topic.partitions.items()}
        if told.keys() != groups.keys() or deleted & topics.keys():
            return False
        for place, reports in groups.items():
            leading = [report["leader"] for report in reports if report["role"] == "leader"]
            if len(reports) != 3 or leading != [told[place]]:
                return False
    return True


def test_faults_of_every_kind(make_cluster):
    cluster = make_cluster()
    for number, shards in SHARDS.items():
        cluster.brokers[number].extra["shards"] = shards
    cluster.start()
    for topic, partitions in PARTITIONS.items():
        cluster.create_topic(topic, partitions)
    loads = [Load(cluster, topic, partition) for topic, partitions in PARTITIONS.items()
             for partition in range(partitions)]
    churn = Churn(cluster)
    try:
        for fault in FAULTS:
            for load in loads:
                load.wait_for_progress(50)
            fault(cluster)
            cluster.wait_until_ready()
        for load in loads:
            load.wait_for_progress()
    finally:
        churn.stop()
        for load in loads:
            load.stop()
    for load in loads:
        check(cluster, load)
    for topic in PARTITIONS:
        wait_for(lambda topic=topic: cluster.replicas_agree(topic), f"replicas of {topic} agree")
    wait_for(lambda: metadata_is_true(cluster, churn.deleted), "metadata and groups agree")
    for broker in cluster.brokers.values():
        assert broker.metric("flotilla_raft_groups", 'role="failed"') == 0
