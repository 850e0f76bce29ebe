"""ElectLeaders: partitions go back to the leaders they are preferred to have, in every version, without a loss."""
import json
import struct

from cluster import wait_for
from load import Load, check
from protocol import Connection, request, string

ELECT_LEADERS = 43
NONE, UNKNOWN_TOPIC_OR_PARTITION, PREFERRED_LEADER_NOT_AVAILABLE, ELECTION_NOT_NEEDED = 0, 3, 80, 84
TOPIC = "elected"


def elect(broker, version, topic, partition, election_type=0, timeout_ms=60000):
    """The error of the partition, in version 0 or 1."""
    body = struct.pack(">b", election_type) if version >= 1 else b""
    body += struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, partition)
    with Connection(broker.kafka_port) as connection:
        answer = connection.ask(request(ELECT_LEADERS, version, body + struct.pack(">i", timeout_ms)))
    position = 4 + 4
    if version >= 1:
        assert struct.unpack_from(">h", answer, position) == (0,)
        position += 2
    assert struct.unpack_from(">ih", answer, position) == (1, len(topic))
    position += 6 + len(topic)
    count, number, error = struct.unpack_from(">iih", answer, position)
    assert (count, number) == (1, partition)
    return error


def preferred(cluster, partition):
    described = json.loads(cluster.tool("topic", "describe", TOPIC, "-o", "json").stdout)
    return described["partitions"][partition]["replicas"][0]


def test_the_lead_goes_back(make_cluster):
    cluster = make_cluster(leader_balance="false").start()
    cluster.create_topic(TOPIC, 3)
    wanted = {number: preferred(cluster, number) for number in range(3)}
    load = Load(cluster, TOPIC)
    try:
        load.wait_for_progress()
        away = cluster.brokers[wanted[0]]
        other = next(broker for broker in cluster.brokers.values() if broker is not away)
        away.kill()
        wait_for(lambda: cluster.leader_of(TOPIC, 0) is not away, "another leader")
        assert elect(other, 1, TOPIC, 0) == PREFERRED_LEADER_NOT_AVAILABLE
        away.start()
        cluster.wait_until_ready()
        assert elect(other, 1, TOPIC, 0, election_type=1) == ELECTION_NOT_NEEDED  # there is a leader
        assert elect(other, 0, TOPIC, 0) == NONE
        assert cluster.leader_of(TOPIC, 0) is away
        for broker in cluster.brokers.values():  # every broker forwards it to the controller
            assert elect(broker, 1, TOPIC, 0) == ELECTION_NOT_NEEDED
        assert elect(other, 1, TOPIC, 7) == UNKNOWN_TOPIC_OR_PARTITION
        load.wait_for_progress()

        away.kill()
        wait_for(lambda: cluster.leader_of(TOPIC, 0) is not away, "another leader")
        away.start()
        cluster.wait_until_ready()
        rows = json.loads(cluster.tool("topic", "elect", "-o", "json").stdout)
        assert {"topic": TOPIC, "partition": 0, "result": "elected"} in rows
        assert {number: cluster.leader_of(TOPIC, number).number for number in range(3)} == wanted
        rows = json.loads(cluster.tool("topic", "elect", TOPIC, "-o", "json").stdout)
        assert [row["result"] for row in rows] == ["unchanged"] * 3
        assert cluster.tool("topic", "elect", TOPIC, "--partition", "9", check=False).returncode == 1
        load.wait_for_progress()
    finally:
        load.stop()
    check(cluster, load)
