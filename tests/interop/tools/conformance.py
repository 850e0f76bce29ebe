"""Apache Kafka's command-line tools against a cluster: conformance.py BOOTSTRAP PREFIX; prints one line for each
check.  `conformance.py --tool NAME ARGUMENTS` runs one of the tools, as its shell script would."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "report"))
from report import expect, expect_equal, run_checks  # noqa: E402

PATIENCE = 120
CLASSES = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
}


def command_line(tool):
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{HERE}/libraries/*", CLASSES[tool]]


def run(tool, *arguments, stdin="", check=True):
    """What it wrote; fails when it says that it failed."""
    result = subprocess.run([*command_line(tool), *map(str, arguments)], input=stdin, text=True, errors="replace",
                            capture_output=True, timeout=PATIENCE)
    said = result.stdout + result.stderr
    print(f"---- {tool} {' '.join(map(str, arguments))}: {result.returncode}\n{said}", file=sys.stderr)
    expect(not check or result.returncode == 0, f"{tool} ended with {result.returncode}: {said[:250]}")
    return said


class Checks:
    def __init__(self, bootstrap, prefix):
        self.bootstrap = bootstrap
        self.prefix = prefix

    def tool(self, tool, *arguments, **options):
        return run(tool, "--bootstrap-server", self.bootstrap, *arguments, **options)

    def topic(self, word, partitions=1, *arguments):
        name = f"{self.prefix}-{word}"
        self.tool("kafka-topics", "--create", "--topic", name, "--partitions", partitions, "--replication-factor", 3,
                  *arguments)
        return name

    def produce(self, name, lines, *arguments):
        self.tool("kafka-console-producer", "--topic", name, "--sync", *arguments,
                  stdin="".join(line + "\n" for line in lines))

    def consume(self, name, count, *arguments):
        return self.tool("kafka-console-consumer", "--topic", name, "--max-messages", count, "--timeout-ms",
                         PATIENCE * 500, *arguments)

    def json_file(self, value):
        descriptor, path = tempfile.mkstemp(suffix=".json", dir=HERE)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
        return path

    def topics_create(self):
        name = self.topic("created", 3, "--config", "retention.ms=3600000")
        said = self.tool("kafka-topics", "--describe", "--topic", name)
        expect(re.search(r"PartitionCount: 3\s+ReplicationFactor: 3\s+Configs:.*retention.ms=3600000", said), said)

    def topics_describe(self):
        name = self.topic("described")
        expect(name in self.tool("kafka-topics", "--list").split(), "the topic is not listed")
        said = self.tool("kafka-topics", "--describe", "--topic", name)
        found = re.search(r"Partition: 0\s+Leader: (\d)\s+Replicas: ([\d,]+)\s+Isr: ([\d,]+)", said)
        expect(found, said)
        expect_equal(sorted(found.group(2).split(",")), ["1", "2", "3"], "replicas")
        expect_equal(self.tool("kafka-topics", "--describe", "--unavailable-partitions", "--topic", name).strip(), "",
                     "unavailable partitions")

    def topics_alter(self):
        name = self.topic("grown")
        self.tool("kafka-topics", "--alter", "--topic", name, "--partitions", 4)
        said = self.tool("kafka-topics", "--describe", "--topic", name)
        expect("PartitionCount: 4" in said, said)

    def topics_delete(self):
        name = self.topic("deleted")
        self.tool("kafka-topics", "--delete", "--topic", name)
        deadline = time.monotonic() + PATIENCE
        while name in self.tool("kafka-topics", "--list").split():
            expect(time.monotonic() < deadline, "the topic is still listed")

    def configs_topic(self):
        name = self.topic("configured")
        entity = ["--entity-type", "topics", "--entity-name", name]
        self.tool("kafka-configs", "--alter", *entity, "--add-config", "retention.ms=1800000,segment.ms=8000000")
        said = self.tool("kafka-configs", "--describe", *entity)
        expect("retention.ms=1800000" in said and "segment.ms=8000000" in said, said)
        self.tool("kafka-configs", "--alter", *entity, "--delete-config", "segment.ms")
        said = self.tool("kafka-configs", "--describe", *entity)
        expect("retention.ms=1800000" in said and "segment.ms=" not in said, said)

    def configs_broker(self):
        said = self.tool("kafka-configs", "--describe", "--all", "--entity-type", "brokers", "--entity-name", 1)
        expect("All configs for broker 1" in said and "num.partitions=" in said, said[:300])

    def console_produce_consume(self):
        name = self.topic("console")
        self.produce(name, ["h:1,g:2|key one|value one", "h:3|key two|value two"], "--property", "parse.key=true",
                     "--property", "parse.headers=true", "--property", "key.separator=|", "--property",
                     "headers.delimiter=|", "--compression-codec", "zstd")
        said = self.consume(name, 2, "--from-beginning", "--property", "print.key=true", "--property",
                            "print.headers=true", "--property", "print.offset=true", "--property", "print.partition=true")
        expect("Partition:0\tOffset:0\th:1,g:2\tkey one\tvalue one" in said, said)
        expect("Partition:0\tOffset:1\th:3\tkey two\tvalue two" in said, said)

    def get_offsets(self):
        name = self.topic("offsets")
        self.produce(name, ["a", "b", "c"])
        for moment, offset in (("latest", 3), ("earliest", 0), ("1", 0), ("max-timestamp", None)):
            said = self.tool("kafka-get-offsets", "--topic", name, "--time", moment)
            found = re.search(rf"^{name}:0:(\d+)$", said, re.M)
            expect(found and (offset is None or int(found.group(1)) == offset), f"offsets at {moment}: {said}")

    def group_of(self, word):
        """A group that has read three of five records."""
        name = self.topic(word)
        self.produce(name, ["a", "b", "c", "d", "e"])
        self.consume(name, 3, "--group", f"{name}-group", "--from-beginning", "--consumer-property",
                     "max.poll.records=3")
        return name, f"{name}-group"

    def row_of(self, name, group):
        """(committed offset, end, lag) of the group's partition"""
        said = self.tool("kafka-consumer-groups", "--describe", "--group", group)
        found = re.search(rf"^{group}\s+{name}\s+0\s+(\d+)\s+(\d+)\s+(\d+)", said, re.M)
        expect(found, f"no row of the group: {said}")
        return tuple(map(int, found.groups()))

    def consumer_groups_describe(self):
        name, group = self.group_of("lagging")
        expect(group in self.tool("kafka-consumer-groups", "--list").split(), "the group is not listed")
        expect_equal(self.row_of(name, group), (3, 5, 2), "committed offset, end, lag")
        said = self.tool("kafka-consumer-groups", "--describe", "--state", "--group", group)
        expect("Empty" in said, said)

    def consumer_groups_reset(self):
        name, group = self.group_of("reset")
        self.tool("kafka-consumer-groups", "--reset-offsets", "--to-offset", 1, "--execute", "--group", group,
                  "--topic", name)
        expect_equal(self.row_of(name, group), (1, 5, 4), "committed offset, end, lag")
        self.tool("kafka-consumer-groups", "--reset-offsets", "--to-latest", "--execute", "--group", group, "--topic",
                  name)
        expect_equal(self.row_of(name, group), (5, 5, 0), "committed offset, end, lag")

    def consumer_groups_delete(self):
        name, group = self.group_of("gone")
        said = self.tool("kafka-consumer-groups", "--delete-offsets", "--group", group, "--topic", name)
        expect("Successful" in said, said)
        said = self.tool("kafka-consumer-groups", "--delete", "--group", group, check=False)
        # A group whose last commit was deleted may be gone already.
        expect("successful" in said or "does not exist" in said or "GroupIdNotFound" in said, said)
        expect(group not in self.tool("kafka-consumer-groups", "--list").split(), "the group is still listed")

    def delete_records(self):
        name = self.topic("records-deleted")
        self.produce(name, ["a", "b", "c", "d"])
        path = self.json_file({"version": 1, "partitions": [{"topic": name, "partition": 0, "offset": 3}]})
        said = self.tool("kafka-delete-records", "--offset-json-file", path)
        expect("low_watermark: 3" in said, said)
        said = self.tool("kafka-get-offsets", "--topic", name, "--time", "earliest")
        expect(f"{name}:0:3" in said, said)

    def log_dirs(self):
        name = self.topic("dirs")
        self.produce(name, ["some bytes"])
        said = self.tool("kafka-log-dirs", "--describe", "--topic-list", name)
        found = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
        expect_equal(sorted(broker["broker"] for broker in found["brokers"]), [1, 2, 3], "brokers")
        for broker in found["brokers"]:
            for directory in broker["logDirs"]:
                expect_equal(directory["error"], None, "error")
                expect_equal([p["partition"] for p in directory["partitions"]], [f"{name}-0"], "partitions")

    def quorum(self, what):
        return self.tool("kafka-metadata-quorum", "describe", what)

    def metadata_quorum_status(self):
        said = self.quorum("--status")
        expect(re.search(r"LeaderId:\s+[123]\b", said) and re.search(r"CurrentVoters:.*1.*2.*3", said), said)

    def metadata_quorum_replication(self):
        said = self.quorum("--replication")
        expect_equal(len(re.findall(r"\b(?:Leader|Follower)\b", said)), 3, f"voters in {said}")

    def leader_election(self):
        name = self.topic("elected")
        said = self.tool("kafka-leader-election", "--election-type", "preferred", "--topic", name, "--partition", 0)
        expect(re.search(r"Successfully completed|Valid replica already elected", said), said)
        said = self.tool("kafka-leader-election", "--election-type", "preferred", "--topic", f"{name}-nowhere",
                         "--partition", 0, check=False)
        expect("UnknownTopicOrPartition" in said or "does not host" in said or "does not exist" in said, said)

    def reassign_partitions(self):
        name = self.topic("moved")
        wanted = self.json_file({"version": 1, "partitions": [{"topic": name, "partition": 0, "replicas": [3, 2, 1]}]})
        self.tool("kafka-reassign-partitions", "--reassignment-json-file", wanted, "--execute")
        deadline = time.monotonic() + PATIENCE
        while "is completed" not in self.tool("kafka-reassign-partitions", "--reassignment-json-file", wanted,
                                              "--verify", check=False):
            expect(time.monotonic() < deadline, "the reassignment is not complete")
        said = self.tool("kafka-topics", "--describe", "--topic", name)
        expect(re.search(r"Replicas: 3,2,1\b", said), said)

    def broker_api_versions(self):
        said = self.tool("kafka-broker-api-versions")
        expect_equal(len(re.findall(r"\(id: [123] ", said)), 3, "brokers")
        expect(re.search(r"Produce\(0\): \d+ to \d+ \[usable: \d+\]", said), said[:300])

    def cluster_id(self):
        said = run("kafka-cluster", "cluster-id", "--bootstrap-server", self.bootstrap)
        expect(re.search(r"Cluster ID: \S+", said), said)

    def producer_perf_test(self):
        name = self.topic("performance")
        said = run("kafka-producer-perf-test", "--topic", name, "--num-records", 2000, "--record-size", 100,
                   "--throughput", -1, "--producer-props", f"bootstrap.servers={self.bootstrap}", "acks=all")
        expect("2000 records sent" in said, said)

    def consumer_perf_test(self):
        name = f"{self.prefix}-performance"
        said = self.tool("kafka-consumer-perf-test", "--topic", name, "--messages", 2000, "--timeout", PATIENCE * 500)
        expect(re.search(r",\s*20\d\d,", said.splitlines()[-1]) or " 2000," in said, said)

    def transactions(self):
        """Of the topic of the test of performance, whose producer was idempotent."""
        name = f"{self.prefix}-performance"
        for arguments in (["list"], ["list", "--transactional-id-pattern", "pay.*", "--duration-filter", 1000],
                          ["find-hanging", "--topic", name]):
            expect_equal(len(self.tool("kafka-transactions", *arguments).splitlines()), 1, "lines, the heading alone")
        said = self.tool("kafka-transactions", "describe-producers", "--topic", name, "--partition", 0)
        heading, *rows = said.splitlines()
        expect(heading.startswith("ProducerId") and len(rows) >= 1, said)
        expect(all(re.fullmatch(r"\d+\s+\d+\s+-?\d+\s+1999\s+\d{13}\s+None\s*", row) for row in rows), said)

    def error_unknown_topic(self):
        said = self.tool("kafka-topics", "--describe", "--topic", f"{self.prefix}-nowhere", check=False)
        expect("does not exist as expected" in said, said)

    def all(self):
        return [(name, getattr(self, name)) for name in (
            "topics_create", "topics_describe", "topics_alter", "topics_delete", "configs_topic", "configs_broker",
            "console_produce_consume", "get_offsets", "consumer_groups_describe", "consumer_groups_reset",
            "consumer_groups_delete", "delete_records", "log_dirs", "metadata_quorum_status",
            "metadata_quorum_replication", "leader_election", "reassign_partitions", "broker_api_versions",
            "cluster_id", "producer_perf_test", "consumer_perf_test", "transactions", "error_unknown_topic")]


if __name__ == "__main__":
    if sys.argv[1] == "--tool":
        line = command_line(sys.argv[2])
        os.execvp(line[0], line + sys.argv[3:])
    sys.exit(1 if run_checks(Checks(*sys.argv[1:3]).all()) else 0)
