"""kill -9 under acknowledged load: every acknowledged message is there, in order, once."""
import datetime
import re
import statistics
import time

import pytest

from cluster import wait_for
from load import Load, check


def run_with_kills(cluster, choose, rounds=3):
    cluster.create_topic("load")
    load = Load(cluster, "load")
    try:
        for _ in range(rounds):
            load.wait_for_progress()
            victims = choose(cluster)
            for victim in victims:
                victim.kill()
            if len(victims) == 1:
                load.wait_for_progress()
            for victim in victims:
                victim.start()
            cluster.wait_until_ready()
        load.wait_for_progress()
    finally:
        load.stop()
    check(cluster, load)
    wait_for(lambda: cluster.replicas_agree("load"), "replicas agree")


VICTIMS = {
    "partition-leader": lambda cluster: [cluster.leader_of("load")],
    "partition-follower": lambda cluster: [next(b for b in cluster.brokers.values()
                                                if b is not cluster.leader_of("load"))],
    "controller-leader": lambda cluster: [cluster.controller()],
    "all-at-once": lambda cluster: list(cluster.brokers.values()),
}


@pytest.mark.parametrize("victims", VICTIMS)
def test_kill(make_cluster, victims):
    run_with_kills(make_cluster().start(), VICTIMS[victims])


def test_rolling_clean_restart(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("load")
    load = Load(cluster, "load")
    try:
        for broker in cluster.brokers.values():
            load.wait_for_progress()
            assert broker.stop() == 0
            load.wait_for_progress()
            broker.start()
            cluster.wait_until_ready()
        load.wait_for_progress()
    finally:
        load.stop()
    check(cluster, load)


LONGER_THAN_THE_LONGEST_BACKOFF_SECONDS = 2


def last_connected(broker, peer):
    """When the broker's log says for the last time that it connected to the peer."""
    times = re.findall(rf'time=(\S+)Z .*"Connected to broker {peer.number} at', broker.log())
    return datetime.datetime.fromisoformat(times[-1] + "+00:00").timestamp()


def test_a_broker_that_comes_back_is_connected_to_at_once(make_cluster):
    """Until then it is no use to a majority: the next failure would stop commits for that long."""
    cluster = make_cluster().start()
    back = cluster.brokers[3]
    delays = []
    for _ in range(3):
        back.kill()
        time.sleep(LONGER_THAN_THE_LONGEST_BACKOFF_SECONDS)
        started = time.time()
        back.start()
        for broker in (cluster.brokers[1], cluster.brokers[2]):
            wait_for(lambda: last_connected(broker, back) > started, "both directions are connected")
            wait_for(lambda: last_connected(back, broker) > started, "both directions are connected")
            delays.append(last_connected(broker, back) - last_connected(back, broker))
    assert statistics.median(delays) < 0.15, delays
