"""Tombstones of compacted topics with several replicas: they stay until every replica has been compacted
beyond them, and then go from all."""
import time

from cluster import wait_for
from test_compaction import Produced, create_compacted, group_directory, read_replica

DELETED = [b"deleted-%d" % i for i in range(10)]
RETENTION_MS = 500


def start(make_cluster, topic):
    cluster = make_cluster(compaction_check_ms=50).start()
    create_compacted(cluster, topic, **{"segment.bytes": "16384", "min.cleanable.dirty.ratio": "0.01",
                                        "delete.retention.ms": str(RETENTION_MS)})
    produced = Produced(cluster, topic)
    produced.begin("none")
    for key in DELETED:
        produced.produce(key, b"value of " + key)
    go_on(produced)
    wait_for(lambda: cluster.replicas_agree(topic), "replicas agree")
    return cluster, produced


def go_on(produced):
    """Other keys, so that segments are closed."""
    for number in range(40):
        produced.produce(b"other-%d" % (number % 7), b"x" * 1000)
    produced.flush()


def delete_all(produced):
    for key in DELETED:
        produced.produce(key, None)
    go_on(produced)


def removed(broker):
    return broker.metric("flotilla_compaction_removed_tombstones_total")


def goes_on_until(produced, condition, what):
    def looked():
        go_on(produced)
        time.sleep(0.1)
        return condition()
    wait_for(looked, what)


def held_by(cluster, topic):
    """What each replica holds, as {key: [values]} of the keys that were deleted."""
    wait_for(lambda: cluster.replicas_agree(topic), "replicas agree")
    directories = {b.number: group_directory(cluster, b, topic) for b in cluster.brokers.values()}
    cluster.stop_all()
    found = {}
    for number, directory in directories.items():
        records, begin, _ = read_replica(directory)
        assert begin == 0 and records
        found[number] = {}
        for _, (key, value) in sorted(records.items()):
            if key in DELETED:
                found[number].setdefault(key, []).append(value)
    return found


def test_tombstones_go_from_every_replica_once_all_are_compacted(make_cluster):
    cluster, produced = start(make_cluster, "state")
    delete_all(produced)
    for broker in cluster.brokers.values():
        goes_on_until(produced, lambda: removed(broker) >= len(DELETED),
                      f"broker {broker.number} has dropped the tombstones")
    assert held_by(cluster, "state") == {1: {}, 2: {}, 3: {}}


def test_tombstones_wait_for_a_replica_that_is_away_and_reach_it(make_cluster):
    cluster, produced = start(make_cluster, "state")
    away = next(b for b in cluster.brokers.values() if b is not cluster.leader_of("state"))
    away.kill()
    delete_all(produced)
    present = [b for b in cluster.brokers.values() if b is not away]
    for broker in present:
        goes_on_until(produced, lambda: broker.metric("flotilla_compactions_total", 'result="ok"') >= 2,
                      f"broker {broker.number} compacts")
    until = time.monotonic() + RETENTION_MS / 1000 + 5  # that is several rounds
    while time.monotonic() < until:
        go_on(produced)
        time.sleep(0.1)
    assert [removed(broker) for broker in present] == [0, 0]

    away.start()
    cluster.wait_until_ready()
    # It has the values still, so it needs the tombstones; with them it is as far as the others.
    for broker in cluster.brokers.values():
        goes_on_until(produced, lambda: removed(broker) >= len(DELETED),
                      f"broker {broker.number} has dropped the tombstones")
    assert held_by(cluster, "state") == {1: {}, 2: {}, 3: {}}
