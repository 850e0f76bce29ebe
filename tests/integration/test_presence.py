"""Brokers that are there and are not: paused, and short of descriptors."""
import os
import signal
import socket
import time
from pathlib import Path

from cluster import Loopback, wait_for
from load import Load, check
from messages import Client

DESCRIPTORS = 240
NONE, COORDINATOR_NOT_AVAILABLE = 0, 15
ALLOCATE_SECONDS = 5  # a broker waits for a block of producer ids


def hangs(broker):
    """All its threads do: a signal takes its time."""
    states = [thread.read_text().rpartition(")")[2].split()[0]
              for thread in Path(f"/proc/{broker.process.pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def init_producer_id(broker):
    with Client(broker.kafka_port) as client:
        return client.ask("init_producer_id", 1, transaction_timeout_ms=60000, transactional_id=None)["error_code"]


def lives(cluster, broker):
    """What the other brokers, all of them, say of it; None while they differ."""
    said = {row["live"] for other in cluster.brokers.values() if other is not broker
            for row in other.status("/v1/cluster")["brokers"] if row["id"] == broker.number}
    return said.pop() if len(said) == 1 else None


def test_a_broker_that_hangs_with_open_connections_does_not_count(make_cluster):
    """Its kernel goes on acknowledging; it answers nothing itself."""
    cluster = make_cluster(size=4).start()
    cluster.create_topic("load", replication=3)
    load = Load(cluster, "load")
    load.wait_for_progress()
    controller = cluster.controller()
    broker = next(b for b in cluster.brokers.values() if b is not controller)
    assert lives(cluster, broker)
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: lives(cluster, broker) is False, "it does not count as live")
        cluster.create_topic("meanwhile", partitions=6, replication=3)
        load.wait_for_progress()
        placed = {n for reports in cluster_groups(cluster, broker, "meanwhile") for n in reports}
        assert broker.number not in placed and len(placed) == 3
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)
    wait_for(lambda: lives(cluster, broker), "it counts again")
    load.wait_for_progress()
    load.stop()
    check(cluster, load)


def test_who_asks_a_leader_that_hangs_is_answered(make_cluster):
    """With it hangs another one, so no leader comes after it: what this broker asked it for fails in time, and is there
    once a leader answers again."""
    cluster = make_cluster().start()
    leader = cluster.controller()
    asked, other = (broker for broker in cluster.brokers.values() if broker is not leader)
    try:
        for broker in (leader, other):
            os.kill(broker.process.pid, signal.SIGSTOP)
        wait_for(lambda: hangs(leader) and hangs(other), "two brokers hang")
        begun = time.monotonic()
        assert init_producer_id(asked) == COORDINATOR_NOT_AVAILABLE
        assert time.monotonic() - begun < 4 * ALLOCATE_SECONDS
    finally:
        for broker in (leader, other):
            os.kill(broker.process.pid, signal.SIGCONT)
    wait_for(lambda: init_producer_id(asked) == NONE, "a producer id")


def cluster_groups(cluster, but, topic):
    """Of each partition: who holds it, asked of all brokers but one."""
    partitions = {}
    for broker in cluster.brokers.values():
        for group in broker.status()["groups"] if broker is not but else []:
            if group.get("topic") == topic:
                holders = partitions.setdefault(group["partition"], set())
                holders.update(member["broker"] for member in group["members"])
    return partitions.values()


class Limited(Loopback):
    """Brokers that may open few files."""

    @staticmethod
    def prefix(_number):
        return ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]


def flood(broker, sockets):
    """More connections than the broker may have open; it closes the others when it comes to them."""
    for _ in range(2 * DESCRIPTORS):
        try:
            sockets.append(socket.create_connection((broker.host, broker.kafka_port), timeout=2))
        except OSError:
            time.sleep(0.001)


def test_clients_cannot_take_the_last_descriptors(make_cluster):
    """They are for the next segments and for brokers: with as many clients as come in, logs roll, and a
    broker that was away is let in."""
    cluster = make_cluster(place=Limited).start()
    cluster.create_topic("load", config="segment.bytes=20000")
    load = Load(cluster, "load")
    load.wait_for_progress()
    leader = cluster.leader_of("load")
    other = next(b for b in cluster.brokers.values() if b is not leader)
    directory = leader.directory / "groups" / str(cluster.groups("load")[0][leader.number]["group"])
    sockets = []
    try:
        flood(leader, sockets)
        flood(other, sockets)
        wait_for(lambda: leader.metric("flotilla_connections_total", 'result="refused"') > 0,
                 "clients are refused")
        third = next(b for b in cluster.brokers.values() if b not in (leader, other))
        third.kill()
        third.start()
        before = len(list(directory.glob("*.log")))
        load.wait_for_progress(5000)
        wait_for(lambda: len(list(directory.glob("*.log"))) > before, "the log rolls")
        wait_for(third.is_ready, "the one that was away is back")
        wait_for(lambda: third.number in cluster.groups("load")[0], "and follows")
    finally:
        for each in sockets:
            each.close()
        load.stop()
    check(cluster, load)
    assert all(broker.is_running() for broker in cluster.brokers.values())
