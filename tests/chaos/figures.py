"""How long clients wait when brokers die: the numbers of availability, each beside its goal.

Brokers and client share this machine, so a number says most beside another one of the same run.
"""
import collections
import pathlib
import sys
import threading
import time

import confluent_kafka

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from cluster import PATIENCE_SECONDS, Cluster, wait_for  # noqa: E402
from disk import Disk  # noqa: E402
from load import Load, check  # noqa: E402


def report(name, value, goal):
    print(f"{name:66} {value:>44}   goal {goal}", flush=True)


def percentile(values, part):
    """The smallest value that at least this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Beat:
    """An idempotent producer that sends evenly to every partition and notes when each was acknowledged."""

    def __init__(self, cluster, topic, partitions=1, rate=500):
        self.topic = topic
        self.partitions = partitions
        self.interval = 1 / rate
        self.times = collections.defaultdict(list)  # partition -> times of acknowledgements
        self.waits = []  # (time of the acknowledgement, partition, seconds since it was sent)
        self.failed = []
        self.stopping = threading.Event()
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True,
            "linger.ms": 0, "retry.backoff.ms": 10, "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100, "topic.metadata.refresh.fast.interval.ms": 10,
            "log_level": 0})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def on_delivery(self, error, message):
        now = time.monotonic()
        if error is not None:
            self.failed.append(str(error))
            return
        self.times[message.partition()].append(now)
        self.waits.append((now, message.partition(), message.latency()))

    def run(self):
        sent = 0
        due = time.monotonic()
        while not self.stopping.is_set():
            if time.monotonic() < due:
                self.producer.poll(max(0, min(0.005, due - time.monotonic())))
                continue
            due += self.interval
            self.producer.produce(self.topic, b"x" * 100, partition=sent % self.partitions,
                                  on_delivery=self.on_delivery)
            sent += 1
            self.producer.poll(0)
        self.producer.flush(PATIENCE_SECONDS)

    def wait_for_progress(self, amount=50):
        """So many more acknowledgements of every partition."""
        targets = {partition: len(self.times[partition]) + amount for partition in range(self.partitions)}
        for partition, target in targets.items():
            wait_for(lambda: len(self.times[partition]) >= target, f"acknowledgements of {partition}")

    def gap_over(self, moment, partition=0):
        """The longest time without an acknowledgement that ended after the moment."""
        times = [t for t in self.times[partition] if moment - 1 <= t <= moment + 10]
        return max(later - earlier for earlier, later in zip(times, times[1:]) if later > moment)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        assert not self.failed, self.failed[:3]


def in_milliseconds(values):
    return (f"p50 {percentile(values, 0.5) * 1000:.0f} p99 {percentile(values, 0.99) * 1000:.0f} "
            f"max {max(values) * 1000:.0f} ms")


def measure_kills(directory, kills):
    """kill -9 of the leader of one partition, again and again."""
    cluster = Cluster(directory).start()
    cluster.create_topic("gaps")
    beat = Beat(cluster, "gaps")
    gaps = []
    try:
        for _ in range(kills):
            beat.wait_for_progress(200)
            victim = cluster.leader_of("gaps")
            moment = time.monotonic()
            victim.kill()
            beat.wait_for_progress()
            gaps.append(beat.gap_over(moment))
            victim.start()
            cluster.wait_until_ready()
    finally:
        beat.stop()
        cluster.end()
    report(f"kill -9 of a leader, {kills} kills, gap between acknowledgements",
           in_milliseconds(gaps) + f", {sum(gap > 0.9 for gap in gaps)} above 900",
           "p50 <= 300, p99 <= 1000, max <= 2000 ms")


def measure_kill_of_many(directory, partitions):
    """kill -9 of one of three brokers with many groups: until every partition acknowledges again."""
    cluster = Cluster(directory).start()
    cluster.create_topic("many", partitions, 3)
    wait_for(lambda: all(b.status("/v1/cluster")["leaderless_partitions"] == 0
                         for b in cluster.brokers.values()), "every partition led")
    beat = Beat(cluster, "many", partitions, rate=1000)
    try:
        beat.wait_for_progress(3)
        moment = time.monotonic()
        cluster.brokers[2].kill()
        wait_for(lambda: all(beat.times[p][-1] > moment + 1 for p in range(partitions)),
                 "every partition acknowledges")
        beat.wait_for_progress(2)
        outages = longest_waits(beat, moment)
    finally:
        beat.stop()
        cluster.end()
    report(f"kill -9 of one of three brokers with {partitions} groups, longest wait of each group",
           in_milliseconds(outages), "p99 <= 2000 ms")


def longest_waits(beat, moment):
    """Of each partition, how long a message waited at most that was acknowledged after the moment.  (A
    partition of many is sent to once a second: the time between acknowledgements says nothing.)"""
    longest = {}
    for now, partition, wait in beat.waits:
        if now > moment:
            longest[partition] = max(wait, longest.get(partition, 0))
    return list(longest.values())


def measure_one_dead(directory, seconds=10):
    """Latency of acks=all with three brokers, and with two of three, five seconds after the death."""
    cluster = Cluster(directory).start()
    cluster.create_topic("two")
    beat = Beat(cluster, "two", rate=200)
    p99 = []
    try:
        beat.wait_for_progress(200)
        for has_died in (False, True):
            if has_died:
                cluster.leader_of("two").kill()
                beat.wait_for_progress(5 * 200)  # five seconds at this rate
            begin = time.monotonic()
            beat.wait_for_progress(seconds * 200)
            p99.append(percentile([wait for now, _, wait in beat.waits if now > begin], 0.99))
    finally:
        beat.stop()
        cluster.end()
    report("produce p99 acks=all, three brokers; one of them dead for 5 s",
           f"{p99[0] * 1000:.2f} ms; {p99[1] * 1000:.2f} ms ({p99[1] / p99[0]:.2f} times)", "<= 2 times")


def measure_coordinator(directory, kills):
    """kill -9 of a consumer group's coordinator: the longest time each of its members commits nothing."""
    from test_group_stress import MEMBERS, OFFSETS_TOPIC, PARTITIONS, Readers
    cluster = Cluster(directory, group_initial_rebalance_delay_ms=0, offsets_topic_partitions=1).start()
    cluster.create_topic("work", PARTITIONS, 3)
    started, gaps = [], []
    try:
        readers = Readers(cluster, started)
        for _ in range(kills):
            victim = cluster.leader_of(OFFSETS_TOPIC)
            moment = time.monotonic()
            victim.kill()
            readers.wait_for_progress()
            for member in started:
                times = [t for t in list(member.commit_times) if t > moment - 5]
                gaps.append(max(later - earlier for earlier, later in zip(times, times[1:]) if later > moment))
            victim.start()
            cluster.wait_until_ready()
            readers.wait_for_progress()
        readers.end()
    finally:
        for member in started:
            member.wanted = False
        cluster.end()
    report(f"kill -9 of a coordinator, {kills} kills, gap between commits of {MEMBERS} members",
           in_milliseconds(gaps), "max <= 2000 ms")


def measure_power_cuts(directory, cuts):
    """The power of all three brokers goes at once under load: what was acknowledged is there."""
    cluster = Cluster(directory)
    disks = [Disk(broker) for broker in cluster.brokers.values()]
    cluster.start()
    cluster.create_topic("load", config="segment.bytes=40000")
    load = Load(cluster, "load")
    try:
        for number in range(cuts):
            load.wait_for_progress(100)
            for disk in disks:
                disk.order(f"cut {number * 3 + disk.broker.number if number % 2 else 0}")
            for broker in cluster.brokers.values():
                broker.ended()
            for broker in cluster.brokers.values():
                broker.start()
            cluster.wait_until_ready()
        load.wait_for_progress()
        load.stop()
        check(cluster, load)
        unsynced = sum(int(line.split()[2]) for disk in disks for line in disk.log().splitlines()
                       if line.startswith("cut "))
    finally:
        load.stop()
        cluster.end()
    report(f"{cuts} power cuts of all brokers, {unsynced} files not synced",
           f"{load.count()} acknowledged, 0 lost", "0 lost")


def measure_all(directory, kills, partitions, cuts, only):
    measures = {"kills": lambda place: measure_kills(place, kills),
                "many": lambda place: measure_kill_of_many(place, partitions),
                "dead": measure_one_dead,
                "coordinator": lambda place: measure_coordinator(place, min(kills, 5)),
                "cuts": lambda place: measure_power_cuts(place, cuts)}
    for name, measure in measures.items():
        if not only or name in only:
            place = directory / name
            place.mkdir()
            measure(place)
