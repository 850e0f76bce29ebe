"""A cluster of real broker processes for tests: its own ports, directories, certificates; every process
is ended by its id."""
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

BUILD = pathlib.Path(os.environ.get("FLOTILLA_BUILD", "build")).resolve()
# Below the ephemeral range, so that no outgoing connection sits on a port between choice and use.
PORT_FIRST, PORT_LAST = 20000, 32000
# Sanitized brokers are many times slower.
PATIENCE_SECONDS = float(os.environ.get("FLOTILLA_TEST_PATIENCE", "60"))
SHARDS = int(os.environ.get("FLOTILLA_TEST_SHARDS", "1"))
# What the brokers are built with ("address,undefined", "thread", ...); tools/run_tests says it.
SANITIZER = os.environ.get("FLOTILLA_TEST_SANITIZER", "")

# What a broker writes when it or its sanitizer finds it to be wrong.
FAULT = re.compile(r"^.*(?:ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|SUMMARY: \w+Sanitizer|"
                   r"runtime error:|assertion failed:).*$", re.MULTILINE)


def faults_in(log):
    """The first fault a broker's log tells of, and what stands around it; "" when there is none."""
    found = FAULT.search(log)
    return log[max(0, found.start() - 200):found.start() + 6000] if found else ""


class PortLease:
    """Ports that no other test process of this machine uses: each is a locked file until released.

    One lease goes on behind the other, so that what a test left behind of its clients does not find the
    brokers of the next."""
    last_port = PORT_FIRST + (os.getpid() * 61) % (PORT_LAST - PORT_FIRST)

    def __init__(self):
        self.locks = []

    def take(self):
        folder = pathlib.Path(f"/tmp/flotilla-test-ports-{os.getuid()}")
        folder.mkdir(exist_ok=True)
        for _ in range(PORT_LAST - PORT_FIRST):
            port = PortLease.last_port + 1 if PortLease.last_port < PORT_LAST else PORT_FIRST
            PortLease.last_port = port
            lock = open(folder / str(port), "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self.locks.append(lock)
            return port
        raise RuntimeError("no free port")

    def release(self):
        for lock in self.locks:
            lock.close()


def wait_for(condition, what, seconds=None):
    """Polls until condition() is true and returns its value; fails with what was waited for."""
    deadline = time.monotonic() + (seconds or PATIENCE_SECONDS)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.02)


class Loopback:
    """Where brokers stand: all at one address, told apart by their ports."""

    @staticmethod
    def host(_number):
        return "127.0.0.1"

    @staticmethod
    def prefix(_number):
        """What a command that shall run there begins with."""
        return []


class Broker:
    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.host = cluster.place.host(number)
        self.kafka_port = cluster.ports.take()
        self.peer_port = cluster.ports.take()
        self.admin_port = cluster.ports.take()
        self.directory = cluster.directory / f"broker{number}"
        self.log_path = cluster.directory / f"broker{number}.log"
        self.config_path = cluster.directory / f"broker{number}.yaml"
        self.process = None
        self.extra = {}  # config keys of this broker alone
        self.environment = {}  # what the process gets beside this one's
        self.is_wanted = False  # started, and ended neither by kill() nor by stop()

    @property
    def kafka(self):
        return f"{self.host}:{self.kafka_port}"

    @property
    def admin(self):
        return f"{self.host}:{self.admin_port}"

    def write_config(self):
        keys = {
            "broker_id": self.number,
            "cluster_name": self.cluster.name,
            "data_directory": self.directory,
            "kafka_listener": self.kafka,
            "peer_listener": f"{self.host}:{self.peer_port}",
            "admin_listener": self.admin,
            "controllers": "[" + ", ".join(f"{b.number}@{b.host}:{b.peer_port}"
                                           for b in self.cluster.brokers.values()) + "]",
            "default_replication_factor": min(3, len(self.cluster.brokers)),
            "shards": SHARDS,
            **self.cluster.tls_keys(self.number),
            **self.cluster.extra,
            **self.extra,
        }
        self.config_path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))

    def start(self):
        assert self.process is None or self.process.poll() is not None
        self.write_config()
        with open(self.log_path, "ab") as log:
            # Each word of it becomes the next one, so the process is the broker in the end.
            command = [*self.cluster.place.prefix(self.number), "env",
                       *(f"{key}={value}" for key, value in self.environment.items()),
                       BUILD / "flotillad", "--config", self.config_path]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.is_wanted = True

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.is_wanted = False
        if self.is_running():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, and the status it ended with."""
        self.is_wanted = False
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def ended(self):
        """Waits until it has ended by itself, as the test wants it to: the status."""
        self.is_wanted = False
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def get(self, path, timeout=5):
        url = f"http://{self.admin}{path}"
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.read().decode()

    def is_ready(self):
        try:
            self.get("/readyz")
            return True
        except (OSError, urllib.error.URLError):
            assert self.is_running(), f"broker {self.number} ended:\n{self.log()[-3000:]}"
            return False

    def status(self, path="/v1/raft", timeout=5):
        return json.loads(self.get(path, timeout))

    def metric(self, name, labels=""):
        wanted = name + ("{" + labels + "}" if labels else "")
        for line in self.get("/metrics").splitlines():
            if line.startswith(wanted + " "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {wanted}")

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_has(self, text):
        return text in self.log()


class Cluster:
    def __init__(self, directory, size=3, tls=True, place=Loopback, **extra):
        self.directory = pathlib.Path(directory)
        self.place = place
        self.name = "test"
        self.tls = tls
        self.extra = extra
        self.ports = PortLease()
        self.brokers = {}
        self.loads = []  # of load.py, ended with the cluster
        if tls:
            self.tool("cert", "--cluster", self.name, "--directory", self.directory / "certs",
                      "--for", ",".join(str(n) for n in range(1, size + 1)))
        for number in range(1, size + 1):
            self.brokers[number] = Broker(self, number)

    def tls_keys(self, number):
        if not self.tls:
            return {}
        certs = self.directory / "certs"
        return {"peer_tls_ca": certs / "ca.pem", "peer_tls_certificate": certs / f"broker{number}.pem",
                "peer_tls_key": certs / f"broker{number}.key"}

    @property
    def bootstrap(self):
        return ",".join(broker.kafka for broker in self.brokers.values())

    def start(self):
        for broker in self.brokers.values():
            broker.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self):
        for broker in self.brokers.values():
            if broker.is_running():
                wait_for(broker.is_ready, f"broker {broker.number} ready\n{broker.log()[-3000:]}")
        running = sum(broker.is_running() for broker in self.brokers.values())
        wait_for(lambda: self.live_count() >= running, f"{running} brokers live")

    def live_count(self):
        """How many brokers every running broker holds to be live, at least."""
        counts = []
        for broker in self.brokers.values():
            if broker.is_running():
                rows = broker.status("/v1/cluster")["brokers"]
                counts.append(sum(row["live"] for row in rows))
        return min(counts)

    def end(self):
        """Ends every broker, then fails if one had died by itself or wrote of a fault."""
        for load in self.loads:
            load.abandon()
        faults = [f"broker {broker.number} ended by itself, status {broker.process.poll()}:\n"
                  f"{broker.log()[-3000:]}"
                  for broker in self.brokers.values() if broker.is_wanted and not broker.is_running()]
        if SANITIZER:
            faults += self.stop_all()  # a leak is told of by a process that ends cleanly
        for broker in self.brokers.values():
            if broker.process is not None:
                broker.kill()
        self.ports.release()
        faults += [f"broker {broker.number}:\n{faults_in(broker.log())}"
                   for broker in self.brokers.values() if faults_in(broker.log())]
        assert not faults, "\n".join(faults)

    def stop_all(self):
        """SIGTERM to all at once; one text for each that did not end well."""
        running = [broker for broker in self.brokers.values() if broker.is_running()]
        for broker in running:
            broker.process.send_signal(signal.SIGTERM)
        faults = []
        for broker in running:
            try:
                status = broker.stop()
            except subprocess.TimeoutExpired:
                status = "none in time"
            if status != 0:
                faults.append(f"broker {broker.number} stopped with status {status}")
        return faults

    def tool_environment(self):
        admin = ",".join(broker.admin for broker in self.brokers.values()) or "127.0.0.1:1"
        environment = {**os.environ, "FLOTILLA_ADMIN": admin}
        if self.brokers:
            environment["FLOTILLA_BROKERS"] = self.bootstrap
        return environment

    def start_tool(self, *arguments, stdout=subprocess.DEVNULL):
        """For a test that ends it in the middle, or goes on beside it, and has to see to its end."""
        return subprocess.Popen([BUILD / "flotilla", *map(str, arguments)], stdout=stdout,
                                env=self.tool_environment())

    def tool(self, *arguments, stdin=None, check=True, timeout=None):
        result = subprocess.run([BUILD / "flotilla", *map(str, arguments)], input=stdin, text=True,
                                capture_output=True, env=self.tool_environment(),
                                timeout=timeout or PATIENCE_SECONDS)
        assert not check or result.returncode == 0, f"{arguments}: {result.stderr}"
        return result

    def create_topic(self, name, partitions=1, replication=None, config=None):
        arguments = ["topic", "create", name, "--partitions", partitions]
        if replication:
            arguments += ["--replication-factor", replication]
        if config:
            arguments += ["--config", config]
        result = self.tool(*arguments, check=False)
        # A client that repeats a request whose answer it missed is told that the topic is there.
        assert result.returncode == 0 or "exists already" in result.stderr, result.stderr

    def controller(self):
        """The broker that leads the controller group, as the running brokers agree."""
        def agreed():
            leaders = {broker.status("/v1/cluster")["controller"]
                       for broker in self.brokers.values() if broker.is_running()}
            number = leaders.pop() if len(leaders) == 1 else 0
            return number if number and self.brokers[number].is_running() else 0
        return self.brokers[wait_for(agreed, "one controller leader that runs")]

    def groups(self, topic):
        """partition -> {broker number: its report} of a topic."""
        partitions = {}
        for broker in self.brokers.values():
            if not broker.is_running():
                continue
            for group in broker.status()["groups"]:
                if group.get("topic") == topic:
                    partitions.setdefault(group["partition"], {})[broker.number] = group
        return partitions

    def leader_of(self, topic, partition=0):
        """The broker that leads a partition with the highest term."""
        def leader():
            reports = self.groups(topic).get(partition, {})
            leading = [(report["term"], number) for number, report in reports.items()
                       if report["role"] == "leader"]
            return max(leading)[1] if leading else 0
        return self.brokers[wait_for(leader, f"a leader of {topic}-{partition}")]

    def replicas_agree(self, topic):
        """Every running replica has the same end, all of it committed."""
        for reports in self.groups(topic).values():
            ends = {(r["last_index"], r["commit_index"], r["saved_index"]) for r in reports.values()}
            if len(ends) != 1 or len(set(ends.pop())) != 1:
                return False
        return True

    def all_logs(self):
        return "".join(broker.log() for broker in self.brokers.values())


def log_messages(text):
    """The msg values of log lines."""
    return [message.replace('\\"', '"') for message in re.findall(r'msg="((?:\\.|[^"\\])*)"', text)]
