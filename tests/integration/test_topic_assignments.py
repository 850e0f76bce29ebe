"""CreateTopics and CreatePartitions with replicas that the client chooses, and asked only whether they would do."""
import os
import signal
import threading
import time

import pytest

from cluster import wait_for
from messages import Client

(NONE, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST,
 UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT) = 0, 36, 37, 39, 42, 3, 7


@pytest.fixture
def client(shared_cluster):
    with Client(shared_cluster.brokers[1].kafka_port) as client:
        yield client


def create(client, name, assignments, partitions=-1, factor=-1, validate_only=False, version=5):
    rows = [{"partition_index": number, "broker_ids": brokers} for number, brokers in assignments]
    answer = client.ask("create_topics", version, timeout_ms=30000, validate_only=validate_only, topics=[
        {"name": name, "num_partitions": partitions, "replication_factor": factor, "assignments": rows,
         "configs": []}])
    return answer["topics"][0]


def grow(client, name, count, assignments=None, validate_only=False, version=2):
    rows = None if assignments is None else [{"broker_ids": brokers} for brokers in assignments]
    answer = client.ask("create_partitions", version, timeout_ms=30000, validate_only=validate_only,
                        topics=[{"name": name, "count": count, "assignments": rows}])
    return answer["results"][0]


def replicas_of(client, name):
    topic = client.ask("metadata", 4, allow_auto_topic_creation=False, topics=[{"name": name}])["topics"][0]
    return {each["partition_index"]: each["replica_nodes"] for each in topic["partitions"]}


def test_a_topic_lies_where_it_was_put(client, topic_name):
    assert create(client, topic_name, [(1, [2, 3]), (0, [3, 1])])["error_code"] == NONE
    wait_for(lambda: replicas_of(client, topic_name) == {0: [3, 1], 1: [2, 3]}, "as it was put")
    for version in range(4):  # grows by one each time
        assert grow(client, topic_name, 3 + version, [[1, 3]], version=version)["error_code"] == NONE
        wait_for(lambda: replicas_of(client, topic_name).get(2 + version) == [1, 3], "and so it grows")


def leaders_of(client, name):
    topic = client.ask("metadata", 4, allow_auto_topic_creation=False, topics=[{"name": name}])["topics"][0]
    return {each["partition_index"]: each["leader_id"] for each in topic["partitions"]}


def test_the_first_leader_is_the_first_replica(make_cluster):
    """Without the balance of leaders, which would come to the same later."""
    cluster = make_cluster(leader_balance="false").start()
    with Client(cluster.brokers[1].kafka_port) as client:
        assert create(client, "placed", [], 24, 3)["error_code"] == NONE
        chosen = [[2, 1], [3, 2], [1, 3], [3, 1], [2, 3], [1, 2]]
        assert create(client, "chosen", list(enumerate(chosen)))["error_code"] == NONE
        assert grow(client, "chosen", 8, [[3, 2], [1, 2]])["error_code"] == NONE
        for name, count in (("placed", 24), ("chosen", 8)):
            first = {number: replicas[0] for number, replicas in replicas_of(client, name).items()}
            assert len(first) == count
            assert leaders_of(client, name) == first
            assert set(first.values()) == {1, 2, 3}


def without_one(make_cluster):
    """One of three brokers is known to be gone: that one, the numbers of the others, and a client of theirs."""
    cluster = make_cluster().start()
    away = next(broker for broker in cluster.brokers.values() if broker is not cluster.controller())
    others = [broker.number for broker in cluster.brokers.values() if broker is not away]
    away.kill()
    client = Client(cluster.brokers[others[0]].kafka_port)
    wait_for(lambda: len(client.ask("metadata", 12, topics=[])["brokers"]) == 2, "it is known to be gone")
    return away, others, client


def test_a_first_replica_that_is_away_does_not_hold_up_the_first_election(make_cluster):
    away, others, client = without_one(make_cluster)
    with client:
        assert create(client, "t", [(0, [away.number, *others])])["error_code"] in (NONE, REQUEST_TIMED_OUT)
        wait_for(lambda: leaders_of(client, "t")[0] in others, "a leader")


class Paused:
    """A broker that stands still for a moment and so learns of nothing; short enough that none takes it for dead."""

    def __init__(self, broker, seconds=0.4):
        self.broker, self.ended = broker, None
        self.timer = threading.Timer(seconds, self.go_on)

    def go_on(self):
        self.ended = time.monotonic()
        os.kill(self.broker.process.pid, signal.SIGCONT)

    def __enter__(self):
        os.kill(self.broker.process.pid, signal.SIGSTOP)
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.join()


def test_a_change_is_answered_when_brokers_without_a_replica_know_it_too(make_cluster):
    cluster = make_cluster().start()
    leader = cluster.controller()
    aside = next(broker for broker in cluster.brokers.values() if broker is not leader)
    others = [broker.number for broker in cluster.brokers.values() if broker is not aside]

    def delete(client):
        return client.ask("delete_topics", 5, topic_names=["t"], timeout_ms=30000)["responses"][0]

    with Client(leader.kafka_port) as asked, Client(aside.kafka_port) as next_asked:
        for change, found in ((lambda: create(asked, "t", [(0, others)]), {0: others}),
                              (lambda: grow(asked, "t", 2, [others]), {0: others, 1: others}),
                              (lambda: delete(asked), {})):
            with Paused(aside) as paused:
                assert change()["error_code"] == NONE
                assert paused.ended, "answered before"
            assert replicas_of(next_asked, "t") == found


def test_a_broker_that_is_gone_does_not_hold_up_a_change(make_cluster):
    away, others, client = without_one(make_cluster)
    with client:
        began = time.monotonic()
        for number in range(5):
            assert create(client, f"t{number}", [(0, others)])["error_code"] == NONE
            assert grow(client, f"t{number}", 2, [others])["error_code"] == NONE
        held_up_seconds = 10 * 2  # each of the ten would wait so long for who does not come
        assert time.monotonic() - began < held_up_seconds / 2


def test_what_is_only_validated_does_not_happen(client, topic_name):
    assert create(client, topic_name, [(0, [3, 1])], validate_only=True)["error_code"] == NONE
    assert replicas_of(client, topic_name) == {}
    assert create(client, topic_name, [(0, [9])], validate_only=True)["error_code"] == INVALID_REPLICA_ASSIGNMENT
    assert create(client, topic_name, [], 1, 1)["error_code"] == NONE
    assert create(client, topic_name, [], 1, 1, validate_only=True)["error_code"] == TOPIC_ALREADY_EXISTS
    assert grow(client, topic_name, 4, validate_only=True)["error_code"] == NONE
    assert grow(client, topic_name, 1, validate_only=True)["error_code"] == INVALID_PARTITIONS
    assert set(replicas_of(client, topic_name)) == {0}


@pytest.mark.parametrize("assignments", [
    [(0, [1, 1])],              # a broker twice
    [(0, [1, 9])],              # an unknown one
    [(0, [])],
    [(0, [-1])],
    [(0, [1]), (2, [2])],       # a gap
    [(0, [1]), (0, [2])],       # a partition twice
    [(0, [1, 2]), (1, [2])],    # differing replication factors
])
def test_senseless_assignments_are_refused(client, topic_name, assignments):
    answer = create(client, topic_name, assignments)
    assert answer["error_code"] == INVALID_REPLICA_ASSIGNMENT
    assert answer["error_message"]


def test_an_assignment_and_numbers_contradict_each_other(client, topic_name):
    answer = create(client, topic_name, [(0, [1])], partitions=1)
    assert answer["error_code"] == INVALID_REQUEST and answer["error_message"]
    answer = create(client, topic_name, [(0, [1])], factor=1)
    assert answer["error_code"] == INVALID_REQUEST and answer["error_message"]


def test_senseless_growth_is_refused(client, topic_name):
    assert grow(client, topic_name, 2)["error_code"] == UNKNOWN_TOPIC_OR_PARTITION
    assert create(client, topic_name, [], 2, 2)["error_code"] == NONE
    for count in (2, 1, 0, -1):
        answer = grow(client, topic_name, count)
        assert answer["error_code"] == INVALID_PARTITIONS and answer["error_message"]
    for assignments in ([[1, 2], [2, 3]], [[1]], [[1, 1]], [[1, 9]], [[]]):
        answer = grow(client, topic_name, 3, assignments)
        assert answer["error_code"] == INVALID_REPLICA_ASSIGNMENT and answer["error_message"], assignments
