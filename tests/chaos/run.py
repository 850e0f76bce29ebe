"""One chaos run: a cluster, clients with histories, faults that shift every few seconds, and the verdict."""
import hashlib
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import checker  # noqa: E402
import history  # noqa: E402
from cluster import Cluster, Loopback, wait_for  # noqa: E402
from disk import Disk  # noqa: E402
from faults import FAULTS, TOPIC, chance_of, schedule  # noqa: E402
from network import CLIENTS, Network, why_not  # noqa: E402
from observer import Observer  # noqa: E402

FAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
CALM_SECONDS = (1.0, 3.0)
# After the last fault: longer than a partition may refuse messages (checker.STUCK_SECONDS).
HEALED_SECONDS = 12
CLIENTS_END_SECONDS = 300
TOPIC_CONFIG = "segment.bytes=400000,max.message.bytes=20000"


class Clock:
    """The wall clock of one broker, from its next start on."""

    def __init__(self, broker):
        self.path = broker.directory.parent / f"clock{broker.number}"
        self.step(0)
        preloaded = broker.environment.get("LD_PRELOAD", "")
        broker.environment.update({
            "LD_PRELOAD": f"{preloaded}:{FAKETIME}".strip(":"), "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})

    def step(self, seconds):
        written = self.path.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.rename(self.path)


class World:
    """What faults act on."""

    def __init__(self, directory, brokers, partitions, longest_pause_seconds, has_network, has_clock):
        self.partitions = partitions
        self.longest_pause_seconds = longest_pause_seconds
        self.histories = directory / "histories"
        self.histories.mkdir()
        self.network = Network(brokers) if has_network else None
        if self.network is not None:
            self.network.enter()
        keys = {"allow_insecure": "true", "peer_allow": "[10.213.0.0/24]"} if has_network else {}
        self.cluster = Cluster(directory, brokers, place=self.network or Loopback, **keys)
        self.disks = {number: Disk(broker) for number, broker in self.cluster.brokers.items()}
        self.clocks = {number: Clock(broker) for number, broker in self.cluster.brokers.items()} \
            if has_clock else {}
        self.observer = None
        self.clients = None

    def start(self, seed, rate):
        self.cluster.start()
        self.cluster.create_topic(TOPIC, self.partitions, config=TOPIC_CONFIG)
        self.observer = Observer(self.cluster, TOPIC, self.histories)
        prefix = self.network.prefix(CLIENTS) if self.network is not None else []
        self.clients = subprocess.Popen(
            [*prefix, sys.executable, pathlib.Path(__file__).parent / "clients.py", "--bootstrap",
             self.cluster.bootstrap, "--histories", self.histories, "--topic", TOPIC, "--partitions",
             str(self.partitions), "--rate", str(rate), "--seed", str(seed)],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for partition in range(self.partitions):
            wait_for(lambda: self.observer.leader_of(partition), f"a leader of partition {partition}")
        wait_for(self.observer.controller, "a controller")

    def finish_clients(self):
        """They finish what they began, and read everything once more: what went wrong with them."""
        _, told = self.clients.communicate("stop\n", timeout=CLIENTS_END_SECONDS)
        return told.strip().splitlines() if self.clients.returncode != 0 else []

    def note_replicas(self):
        """Stops the brokers, and notes what each replica of the topic holds."""
        wait_for(lambda: self.cluster.replicas_agree(TOPIC), "replicas agree")
        groups = self.cluster.groups(TOPIC)
        stopped_badly = self.cluster.stop_all()
        for partition, reports in groups.items():
            for number, report in reports.items():
                directory = self.cluster.brokers[number].directory / "groups" / str(report["group"])
                digest = hashlib.sha256()
                for segment in sorted(directory.glob("*.log")):
                    digest.update(segment.read_bytes())
                self.observer.note("replica", partition=partition, broker=number,
                                   start=report["start_offset"], end=report["end_offset"],
                                   digest=digest.hexdigest())
        return stopped_badly

    def close(self):
        if self.clients is not None and self.clients.poll() is None:
            self.clients.kill()
            self.clients.wait()
        if self.observer is not None:
            self.observer.stop()
        try:
            self.cluster.end()
        finally:
            if self.network is not None:
                self.network.close()


def possible(wanted):
    """The faults that this machine can make; says of the others why not."""
    missing = {"network": why_not(), "clock": "" if FAKETIME else "no libfaketime", "disk": "", "nothing": ""}
    able = [name for name in wanted if not missing[FAULTS[name].needs]]
    for need, reason in missing.items():
        skipped = [name for name in wanted if FAULTS[name].needs == need and reason]
        if skipped:
            print(f"Skipped, as there is {reason}: {', '.join(skipped)}")
    return able


class Periods:
    """The faults, one while after the other, until the time is over."""

    def __init__(self, world, chance, names):
        self.world = world
        self.chance = chance
        self.draw = schedule(chance, names)
        self.started = time.monotonic()
        self.past = []  # (names of the faults, begin, end)

    def tell(self, text):
        print(f"{time.monotonic() - self.started:7.1f} s  {text}", flush=True)

    def begin_faults(self, names):
        free = list(self.world.cluster.brokers.values())
        begun = []
        for name in names:
            fault = FAULTS[name](self.world, self.chance)
            if fault.begin(free):
                begun.append((name, fault))
        return begun

    def run_one(self):
        names = next(self.draw)
        began = time.monotonic()
        begun = self.begin_faults(names)
        self.tell("; ".join(f"{name}: {fault.told}" for name, fault in begun) or "no fault")
        length = max((fault.seconds() for _, fault in begun), default=self.chance.uniform(*CALM_SECONDS))
        try:
            time.sleep(length)  # the fault itself, not a wait for something
        finally:
            for _, fault in begun:
                fault.end()
        self.past.append(([name for name, _ in begun], began, time.monotonic()))
        # Now and then the next fault finds a cluster that is not whole yet.
        if len(begun) == 1 and self.chance.random() < 0.7:
            self.world.cluster.wait_until_ready()
            self.past[-1] = (self.past[-1][0], began, time.monotonic())

    def run(self, seconds):
        while time.monotonic() < self.started + seconds:
            self.run_one()
            for broker in self.world.cluster.brokers.values():
                assert broker.is_running() or not broker.is_wanted, \
                    f"broker {broker.number} ended by itself:\n{broker.log()[-3000:]}"
            assert self.world.clients.poll() is None, "the clients ended"


def run(directory, seed, seconds, wanted, brokers, partitions, rate):
    """Everything: (the history, the periods, what is wrong)."""
    names = possible(wanted)
    if not names:
        raise SystemExit("None of these faults can be made here.")
    has_network = not why_not()
    world = World(directory, brokers, partitions, 30 if seconds > 600 else 5, has_network,
                  any(FAULTS[name].needs == "clock" for name in names))
    problems = []
    periods = None
    try:
        world.start(seed, rate)
        periods = Periods(world, chance_of(seed), names)
        periods.run(seconds)
        world.observer.note("healed")
        world.cluster.wait_until_ready()
        periods.tell("all faults have ended")
        time.sleep(HEALED_SECONDS)  # what the checker judges: whether everything works again
        problems += world.finish_clients()
        problems += world.note_replicas()
    except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as failure:
        problems.append(f"{type(failure).__name__}: {failure}")
    finally:
        try:
            world.close()
        except AssertionError as failure:
            problems.append(str(failure))
    seen = checker.History(history.read_all(world.histories))
    return seen, periods.past if periods else [], problems + checker.check(seen)


# ---- The report ----

def milliseconds(values):
    if not values:
        return f"{'-':>7} {'-':>7} {'-':>7}"
    ordered = sorted(values)
    return " ".join(f"{ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000:7.0f}"
                    for part in (0.5, 0.99, 1.0))


def report(seen, past):
    rows = {}
    for names, begin, end in past:
        name = names[0] if len(names) == 1 else "several at once" if names else "none"
        rows.setdefault(name, []).append((begin, end))
    print(f"\n{'':24} {'':>5} {'messages of acks=all':>24} {'copies':>7}   {'no acknowledgement, ms':>23}")
    print(f"{'fault':24} {'times':>5} {'acknowledged':>17} {'lost':>6} {'(plain)':>7}   "
          f"{'p50':>7} {'p99':>7} {'max':>7}")
    for name in sorted(rows, key=lambda name: (name in ("none", "several at once"), name)):
        spans = rows[name]
        tallies = [checker.tally(seen, begin, end) for begin, end in spans]
        gaps = [gap for begin, end in spans for gap in checker.gaps(seen, begin, end)]
        print(f"{name:24} {len(spans):5} {sum(t.acknowledged for t in tallies):17} "
              f"{sum(t.lost for t in tallies):6} {sum(t.copies for t in tallies):7}   {milliseconds(gaps)}")
    counts = checker.count(seen)
    print(f"\n{counts.sent} messages sent, {counts.acknowledged} acknowledged, {counts.refused} refused, "
          f"{counts.unknown} of unknown fate; {counts.read} different ones read.  What plain producers may: "
          f"{counts.duplicates_of_plain} copies, {counts.lost_of_acks_1} of acks=1 lost with their leaders.")
