"""Network namespaces: one for each broker, one for the clients, and a switch between them that the
operator (this program) stands at.  Who hears whom is a set of packet filters; the operator hears all.

Needs root and Debian's iproute2 and nftables.  Everything is named after this process, and removed by
close().
"""
import collections
import ctypes
import os
import shutil
import subprocess
import threading

CLIENTS = 100  # the last number of the clients' address
OPERATOR = 254
CLONE_NEWNET = 0x40000000


def why_not():
    """What is missing for namespaces here; "" when nothing is."""
    if os.geteuid() != 0:
        return "not root"
    missing = [program for program in ("ip", "nft") if shutil.which(program) is None]
    if missing:
        return f"no {' and no '.join(missing)}"
    probe = f"flotilla-probe-{os.getpid()}"
    script = (f"ip netns add {probe} && ip -n {probe} link add probe type bridge && "
              f"ip netns exec {probe} nft add table inet probe; status=$?; "
              f"ip netns delete {probe}; exit $status")
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    return "" if result.returncode == 0 else f"no namespaces here: {result.stderr.strip()}"


class Network:
    """A place for a cluster (see Loopback in cluster.py), with links that can be cut one way."""

    def __init__(self, size):
        self.members = [*range(1, size + 1), CLIENTS]
        self.cuts = collections.Counter()  # (from, to) -> how many hold it cut
        self.lock = threading.Lock()
        self.switch = self.name("switch")
        self.made = []
        try:
            self.make()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def name(what):
        return f"flotilla-{os.getpid()}-{what}"

    @staticmethod
    def host(number):
        return f"10.213.0.{number}"

    def prefix(self, number):
        return ["ip", "netns", "exec", self.name(number)]

    @staticmethod
    def run(*words, text=None):
        result = subprocess.run(list(map(str, words)), input=text, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: {result.stderr.strip()}")

    def add_namespace(self, name):
        self.run("ip", "netns", "add", name)
        self.made.append(name)
        self.run("ip", "-n", name, "link", "set", "lo", "up")

    def make(self):
        self.add_namespace(self.switch)
        self.run("ip", "-n", self.switch, "link", "add", "switch", "type", "bridge")
        self.run("ip", "-n", self.switch, "address", "add", f"{self.host(OPERATOR)}/24", "dev", "switch")
        self.run("ip", "-n", self.switch, "link", "set", "switch", "up")
        for number in self.members:
            name = self.name(number)
            self.add_namespace(name)
            self.run("ip", "-n", name, "link", "add", "net", "type", "veth", "peer", "name", f"port{number}",
                     "netns", self.switch)
            self.run("ip", "-n", name, "address", "add", f"{self.host(number)}/24", "dev", "net")
            self.run("ip", "-n", name, "link", "set", "net", "up")
            self.run("ip", "-n", self.switch, "link", "set", f"port{number}", "master", "switch", "up")

    def enter(self):
        """Moves this thread, and those it starts from now on, to the switch."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{self.switch}", "rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def cut(self, pairs):
        """What the first of each pair sends no longer reaches the second, until mend() of the same."""
        with self.lock:
            self.cuts.update(pairs)
            self.filter({to for _, to in pairs})

    def mend(self, pairs):
        with self.lock:
            self.cuts.subtract(pairs)
            self.filter({to for _, to in pairs})

    def filter(self, members):
        for number in members:
            unheard = [self.host(sender) for (sender, to), count in self.cuts.items()
                       if to == number and count > 0]
            rules = "".join(f"    ip saddr {address} drop\n" for address in unheard)
            self.run(*self.prefix(number), "nft", "-f", "-",
                     text="table inet chaos {}\ndelete table inet chaos\ntable inet chaos {\n"
                          "  chain heard {\n    type filter hook input priority 0;\n" + rules + "  }\n}\n")

    def close(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        self.made = []


def both_ways(left, right):
    """The pairs that part two groups of members."""
    return [pair for a in left for b in right for pair in ((a, b), (b, a))]
