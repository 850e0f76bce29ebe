"""The faults: what each does to a cluster, and how it is undone.

A fault is begun, lasts for a while, and is ended; ending it leaves every broker started again and every link
whole.  Faults that take hold of a process share the brokers out among themselves through `free`, so that
several may be under way at once; those of the network go with all of them.
"""
import random
import signal

from network import CLIENTS, both_ways

TOPIC = "chaos"


class Fault:
    needs = "nothing"  # nothing, network (namespaces), disk (the preloaded one), clock (libfaketime)
    lasts = (1.0, 4.0)  # seconds, from and to
    is_alone = False  # it waits for brokers to be ready, which other faults may keep them from

    def __init__(self, world, chance):
        self.world = world
        self.cluster = world.cluster
        self.chance = chance
        self.told = ""  # what it did, for the journal

    def seconds(self):
        return self.chance.uniform(*self.lasts)

    def begin(self, free):
        """Takes from the free brokers what it hits.  False: they are not the ones it needs."""
        raise NotImplementedError

    def end(self):
        raise NotImplementedError

    # ---- Whom it hits ----

    def leader(self):
        """Who leads one of the partitions, as far as is known."""
        return self.world.observer.leader_of(self.chance.randrange(self.world.partitions))

    def controller(self):
        return self.world.observer.controller()

    def chosen(self, free, wanted=None):
        """The wanted one, or any, of the free brokers that run; taken."""
        running = [broker for broker in free if broker.is_running()]
        if wanted is not None:
            running = [broker for broker in running if broker is wanted]
        if not running:
            return None
        broker = self.chance.choice(running)
        free.remove(broker)
        return broker

    def chosen_all(self, free):
        brokers = list(self.cluster.brokers.values())
        if set(free) != set(brokers):
            return []
        free.clear()
        return brokers

    def follower(self):
        leader = self.leader()
        return self.chance.choice([b for b in self.cluster.brokers.values() if b is not leader])


def names(brokers):
    return ", ".join(f"broker {broker.number}" for broker in brokers)


# ---- Processes ----

class Process(Fault):
    """A fault that takes brokers down; they are started again at its end."""

    def victims(self, free):
        raise NotImplementedError

    def strike(self, brokers):
        for broker in brokers:
            broker.kill()

    def begin(self, free):
        self.brokers = [broker for broker in self.victims(free) if broker is not None]
        if not self.brokers:
            return False
        self.told = names(self.brokers)
        self.strike(self.brokers)
        return True

    def end(self):
        for broker in self.brokers:
            if not broker.is_running():
                broker.start()


class KillLeader(Process):
    def victims(self, free):
        return [self.chosen(free, self.leader())]


class KillFollower(Process):
    def victims(self, free):
        return [self.chosen(free, self.follower())]


class KillController(Process):
    def victims(self, free):
        return [self.chosen(free, self.controller())]


class KillAll(Process):
    lasts = (0.0, 1.0)

    def victims(self, free):
        return self.chosen_all(free)


class Pause(Fault):
    """SIGSTOP, for a tenth of a second up to half a minute where there is time for it."""

    def seconds(self):
        return min(0.1 * 300 ** self.chance.random(), self.world.longest_pause_seconds)

    def begin(self, free):
        self.broker = self.chosen(free, self.leader() if self.chance.random() < 0.6 else None)
        if self.broker is None:
            return False
        self.told = names([self.broker])
        self.broker.process.send_signal(signal.SIGSTOP)
        return True

    def end(self):
        self.broker.process.send_signal(signal.SIGCONT)


class RollingRestart(Fault):
    """SIGTERM, one broker after the other, each when the one before is ready again."""
    lasts = (0.0, 0.0)
    is_alone = True

    def begin(self, free):
        brokers = self.chosen_all(free)
        if not all(broker.is_running() for broker in brokers) or not brokers:
            return False
        self.cluster.wait_until_ready()
        for broker in brokers:
            status = broker.stop()
            assert status == 0, f"broker {broker.number} stopped with status {status}"
            broker.start()
            self.cluster.wait_until_ready()
        self.told = names(brokers)
        return True

    def end(self):
        pass


# ---- Disks ----

class PowerCut(Process):
    """What was not synced is gone, wholly or in part; see tests/integration/fault_disk.c."""
    needs = "disk"
    lasts = (0.0, 2.0)

    def strike(self, brokers):
        for broker in brokers:
            broker.is_wanted = False
            seed = self.chance.choice((0, self.chance.randrange(1, 1 << 60)))
            self.world.disks[broker.number].order(f"cut {seed}")
        for broker in brokers:
            status = broker.ended()
            assert status == -signal.SIGKILL, f"broker {broker.number} ended with status {status}"


class PowerCutOfOne(PowerCut):
    def victims(self, free):
        return [self.chosen(free, self.leader() if self.chance.random() < 0.5 else None)]


class PowerCutOfMinority(PowerCut):
    def victims(self, free):
        return [self.chosen(free) for _ in range((len(self.cluster.brokers) - 1) // 2)]


class PowerCutOfAll(PowerCut):
    def victims(self, free):
        return [broker for broker in self.chosen_all(free) if broker.is_running()]


class SlowDisk(Fault):
    needs = "disk"

    def begin(self, free):
        self.broker = self.chosen(free)
        if self.broker is None:
            return False
        delay_ms = self.chance.choice((50, 200, 800))
        self.told = f"{names([self.broker])}, each sync {delay_ms} ms longer"
        self.world.disks[self.broker.number].order(f"delay sync {delay_ms}")
        return True

    def end(self):
        self.world.disks[self.broker.number].order("delay sync 0")


class FullDisk(Fault):
    """A broker may end by itself when it cannot write, or go on and refuse; at the end it is killed and
    finds room again."""
    needs = "disk"

    def begin(self, free):
        self.broker = self.chosen(free)
        if self.broker is None:
            return False
        self.told = names([self.broker])
        self.broker.is_wanted = False
        self.world.disks[self.broker.number].order("fail write ENOSPC -1 groups")
        return True

    def end(self):
        self.broker.kill()
        self.broker.start()


# ---- Clock ----

class ClockStep(Fault):
    """The wall clock of one broker jumps; the monotonic one does not, as on a real machine."""
    needs = "clock"

    def begin(self, free):
        self.broker = self.chosen(free)
        if self.broker is None:
            return False
        seconds = self.chance.choice((-1, 1)) * self.chance.randrange(10, 1800)
        self.told = f"{names([self.broker])} by {seconds} s"
        self.world.clocks[self.broker.number].step(seconds)
        return True

    def end(self):
        self.world.clocks[self.broker.number].step(0)


# ---- Network ----

class Partition(Fault):
    needs = "network"
    lasts = (1.0, 6.0)

    def pairs(self):
        """(from, to) of the links to cut; self.told says whom it parts."""
        raise NotImplementedError

    def begin(self, free):
        self.parted = self.pairs()
        if not self.parted:
            return False
        self.world.network.cut(self.parted)
        return True

    def end(self):
        self.world.network.mend(self.parted)

    def numbers(self):
        return list(self.cluster.brokers)

    def others(self, number):
        return [other for other in self.numbers() if other != number]


class IsolateOne(Partition):
    """From the other brokers; clients still reach it, and must not be deceived by it."""

    def pairs(self):
        leader = self.leader()
        one = leader.number if leader and self.chance.random() < 0.7 else self.chance.choice(self.numbers())
        self.told = f"broker {one}"
        return both_ways([one], self.others(one))


class Halves(Partition):
    """The clients are with the smaller half."""

    def pairs(self):
        numbers = self.numbers()
        self.chance.shuffle(numbers)
        small, large = numbers[:len(numbers) // 2], numbers[len(numbers) // 2:]
        self.told = f"{small} and the clients from {large}"
        return both_ways([*small, CLIENTS], large)


class MajorityRing(Partition):
    """Every broker sees a majority, no two the same."""

    def pairs(self):
        numbers = self.numbers()
        self.chance.shuffle(numbers)
        self.told = f"ring {numbers}"
        count = len(numbers)
        if count == 3:
            return both_ways([numbers[0]], [numbers[2]])
        reach = count // 4 + 1 if count > 4 else 1
        return [(a, b) for i, a in enumerate(numbers) for j, b in enumerate(numbers)
                if reach < (j - i) % count < count - reach]


class OneWay(Partition):
    """A broker hears the others and is not heard, or is heard and does not hear."""

    def pairs(self):
        leader = self.leader()
        one = leader.number if leader and self.chance.random() < 0.5 else self.chance.choice(self.numbers())
        is_unheard = self.chance.random() < 0.5
        self.told = f"broker {one} {'is not heard' if is_unheard else 'does not hear'}"
        return [(one, other) if is_unheard else (other, one) for other in self.others(one)]


class ClientFromLeader(Partition):
    def pairs(self):
        leader = self.leader()
        if leader is None:
            return []
        self.told = f"the clients from broker {leader.number}"
        return both_ways([CLIENTS], [leader.number])


class ControllerFromBroker(Partition):
    def pairs(self):
        controller = self.controller()
        if controller is None:
            return []
        other = self.chance.choice(self.others(controller.number))
        self.told = f"controller {controller.number} from broker {other}"
        return both_ways([controller.number], [other])


FAULTS = {
    "kill-leader": KillLeader,
    "kill-follower": KillFollower,
    "kill-controller": KillController,
    "kill-all": KillAll,
    "pause": Pause,
    "rolling-restart": RollingRestart,
    "isolate-one": IsolateOne,
    "halves": Halves,
    "majority-ring": MajorityRing,
    "one-way": OneWay,
    "client-from-leader": ClientFromLeader,
    "controller-from-broker": ControllerFromBroker,
    "power-cut-one": PowerCutOfOne,
    "power-cut-minority": PowerCutOfMinority,
    "power-cut-all": PowerCutOfAll,
    "slow-disk": SlowDisk,
    "full-disk": FullDisk,
    "clock-step": ClockStep,
}


def schedule(chance, fault_names):
    """Without end: the faults of the next while.  A quarter of the time none, half of it one, else several;
    every fault comes once before any comes again."""
    deck = []
    while True:
        draw = chance.random()
        if draw < 0.25:
            yield []
            continue
        together = [name for name in fault_names if not FAULTS[name].is_alone]
        wanted = 1 if draw < 0.75 or len(together) < 3 else chance.randint(2, 3)
        drawn = []
        while len(drawn) < wanted:
            if not deck:
                deck = chance.sample(fault_names, len(fault_names))
            name = deck.pop()
            if name not in drawn and (wanted == 1 or not FAULTS[name].is_alone):
                drawn.append(name)
        yield drawn


def chance_of(seed):
    return random.Random(f"chaos {seed}")
