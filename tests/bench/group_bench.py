#!/usr/bin/env python3
"""A thousand consumer groups of ten members each on three brokers: what their joins and their steady state cost.

    FLOTILLA_BUILD=build tests/bench/group_bench.py [--groups 1000] [--members 10] [--seconds 30]

Every member has a connection of its own to its coordinator, as real ones have, and speaks the raw protocol: it
joins, gets its share, sends a heartbeat every three seconds and commits an offset every five. Brokers and members
share this machine; the processor time is the brokers' alone.
"""
import argparse
import collections
import pathlib
import resource
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from cluster import Cluster, wait_for  # noqa: E402
from messages import Client  # noqa: E402

RANGE = [{"name": "range", "metadata": b"\0\0\0\0\0\1\0\4work\0\0\0\0"}]
HEARTBEAT_SECONDS, COMMIT_SECONDS = 3, 5
REBALANCE_DELAY_MS = 3000  # Kafka's default: one generation, if all join within it


class Member(Client):
    def __init__(self, group, port):
        super().__init__(port)
        self.group = group
        self.id = ""

    def post_join(self):
        self.post("join_group", 5, group_id=self.group, session_timeout_ms=45000, rebalance_timeout_ms=60000,
                  member_id=self.id, protocol_type="consumer", protocols=RANGE)

    def take_join(self):
        self.joined = self.take("join_group", 5)
        self.id = self.joined["member_id"]
        return self.joined["error_code"]

    def post_sync(self):
        shares = [{"member_id": each["member_id"], "assignment": b"\0\0\0\0\0\1\0\4work\0\0\0\1\0\0\0\0\0\0\0\0"}
                  for each in self.joined["members"]]
        self.post("sync_group", 3, group_id=self.group, generation_id=self.joined["generation_id"],
                  member_id=self.id, assignments=shares)

    def prepare(self):
        """What it sends again and again."""
        generation = self.joined["generation_id"]
        self.heartbeat = self.encode("heartbeat", 3, group_id=self.group, generation_id=generation, member_id=self.id)
        self.commit = self.encode("offset_commit", 7, group_id=self.group, generation_id_or_member_epoch=generation,
                                  member_id=self.id, topics=[{"name": "work", "partitions": [
                                      {"partition_index": 0, "committed_offset": 4711, "committed_metadata": ""}]}])

    def take_error(self):
        return int.from_bytes(self.read_frame()[-2:], "big")  # both answers end in it


def report(name, value):
    print(f"{name:58} {value:>40}", flush=True)


class Cost:
    """Processor time and memory of the brokers since it was made."""

    def __init__(self, cluster):
        self.brokers = list(cluster.brokers.values())
        self.begun = time.monotonic()
        self.cpu = self.total("process_cpu_seconds_total")
        self.memory = self.total("process_resident_memory_bytes")

    def total(self, metric):
        return [broker.metric(metric) for broker in self.brokers]

    def tell(self, what, members):
        seconds = time.monotonic() - self.begun
        cpu = sum(self.total("process_cpu_seconds_total")) - sum(self.cpu)
        added = sum(self.total("process_resident_memory_bytes")) - sum(self.memory)
        report(f"{what}: processor time of all brokers",
               f"{cpu:.2f} s in {seconds:.1f} s ({cpu / seconds * 100:.1f} % of a core)")
        report(f"{what}: memory of all brokers", f"{added / 1e6:+.1f} MB ({added / members:.0f} bytes a member)")


def coordinators(cluster, groups):
    """group -> port of its coordinator."""
    ports = {broker.number: broker.kafka_port for broker in cluster.brokers.values()}
    with Client(cluster.brokers[1].kafka_port) as client:
        def found():
            answer = client.ask("find_coordinator", 4, key_type=0, coordinator_keys=groups)
            rows = answer["coordinators"]
            return not any(row["error_code"] for row in rows) and {row["key"]: ports[row["node_id"]] for row in rows}
        return wait_for(found, "coordinators")


def connect(cluster, groups, count):
    ports = coordinators(cluster, groups)
    return [Member(group, ports[group]) for group in groups for _ in range(count)]


def join_all(members):
    for member in members:
        member.post_join()
    assert all(member.take_join() == 79 for member in members)  # MEMBER_ID_REQUIRED
    for member in members:
        member.post_join()
    assert all(member.take_join() == 0 for member in members)
    for member in members:
        member.post_sync()
    assert all(member.take("sync_group", 3)["error_code"] == 0 for member in members)


def ask_all(members, what):
    for member in members:
        member.send(getattr(member, what))
    return collections.Counter(member.take_error() for member in members)


def stay(members, seconds):
    """Heartbeats and commits in their rhythm; how many were answered what."""
    begun = time.monotonic()
    beat_due = commit_due = begun
    answers = collections.Counter()
    while time.monotonic() < begun + seconds:
        now = time.monotonic()
        if now >= beat_due:
            beat_due += HEARTBEAT_SECONDS
            answers += ask_all(members, "heartbeat")
        if now >= commit_due:
            commit_due += COMMIT_SECONDS
            answers += ask_all(members, "commit")
        time.sleep(max(0, min(beat_due, commit_due) - time.monotonic()))
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    total = options.groups * options.members
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="flotilla-groups-"))
    cluster = Cluster(directory, connections_max=total + 1000, connections_per_address_max=total + 1000,
                      group_initial_rebalance_delay_ms=REBALANCE_DELAY_MS,
                      leader_balance="false").start()  # members here do not look for a coordinator that moves
    try:
        cluster.create_topic("work", replication=3)
        groups = [f"group-{number}" for number in range(options.groups)]
        coordinators(cluster, groups)
        print(f"{options.groups} groups of {options.members} members, three brokers "
              f"(processes {[broker.process.pid for broker in cluster.brokers.values()]})", flush=True)
        cost = Cost(cluster)
        members = connect(cluster, groups, options.members)
        cost.tell("connections", total)
        cost = Cost(cluster)
        begun = time.monotonic()
        join_all(members)
        report("joins: until every member has its share", f"{time.monotonic() - begun:.1f} s")
        cost.tell("joins", total)
        for member in members:
            member.prepare()
        cost = Cost(cluster)
        answers = stay(members, options.seconds)
        cost.tell("steady state", total)
        report("steady state: heartbeats and commits by error code", str(dict(answers)))
        report("resident memory of each broker", ", ".join(
            f"{broker.metric('process_resident_memory_bytes') / 1e6:.1f}" for broker in cluster.brokers.values()) + " MB")
        for member in members:
            member.socket.close()
    finally:
        cluster.end()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
