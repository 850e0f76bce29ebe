"""The two programs as a person meets them: flags, wrong configs, exit statuses, health, metrics."""
import json
import os
import shutil
import signal
import subprocess

import pytest

from cluster import BUILD, PATIENCE_SECONDS, PortLease, faults_in, wait_for


def flotillad(*arguments, cwd=None):
    return subprocess.run([BUILD / "flotillad", *map(str, arguments)], capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS, cwd=cwd)


def flotilla(*arguments):
    return subprocess.run([BUILD / "flotilla", *map(str, arguments)], capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("text, wanted", [
    ("broker_id: 1\nbroker_idd: 2\n", "2: unknown key 'broker_idd'; allowed are broker_id, cluster_name"),
    ("broker_id: zero\n", "1: broker_id: 'zero' is not allowed; it takes a number from 1 to"),
    ("broker_id: -1\n", "1: broker_id: '-1' is not allowed"),
    ("broker_id: 0x10\n", "1: broker_id: '0x10' is not allowed"),
    ("\n\nbroker_id: 1\nbroker_id: 2\n", "4: the key stands twice"),
    ("kafka_listener: 9092\n", "1: kafka_listener: '9092' is not allowed; it takes host:port"),
    ("controllers: [1@127.0.0.1]\n", "1: controllers: '1@127.0.0.1' is not allowed; it takes a list of id@"),
    ("allow_insecure: maybe\n", "1: allow_insecure: 'maybe' is not allowed; it takes true or false"),
    ("broker_id: [1]\n", "1: broker_id takes a number"),
    ("- broker_id\n", "1: the file must be one mapping"),
    ("broker_id: {\n", ":"),
    ("kafka_listener: 0.0.0.0:9092\n", "kafka_listener 0.0.0.0 is not a loopback address"),
    ("peer_listener: 0.0.0.0:9092\n", "peer_listener 0.0.0.0 is not a loopback address and no TLS"),
    ("allow_insecure: true\nkafka_listener: 0.0.0.0:9092\n", "clients cannot connect to 0.0.0.0"),
    ("controllers: [1@0.0.0.0:19092]\n", "broker 1 cannot be reached at 0.0.0.0"),
    ("broker_id: 2\ncontrollers: [1@127.0.0.1:19092]\n", "set broker_id or peer_listener right"),
    ("peer_tls_ca: x\npeer_tls_certificate: y\npeer_tls_key: z\n",
     "certificate authority x: No such file or directory"),
    ("peer_tls_ca: x\n", "peer_tls_ca, peer_tls_certificate and peer_tls_key go together"),
    ("topic_defaults: [retention.ms=soon]\n", "topic_defaults: retention.ms: the value 'soon' is not a whole"),
    ("topic_defaults: [retention=5]\n", "topic_defaults: 'retention=5' is not name=value of a topic config"),
    ("log_level: loud\n", "log_level: 'loud' is not allowed"),
    ("heartbeat_ms: 400\n", "election_ms (1000) must be at least three times heartbeat_ms (400)"),
])
def test_a_wrong_config_is_refused_with_the_reason(tmp_path, text, wanted):
    path = tmp_path / "broker.yaml"
    path.write_text(text)
    result = flotillad("--config", path, cwd=tmp_path)
    assert result.returncode == 2
    assert wanted in result.stderr
    if wanted[0].isdigit():
        assert f"{path}:{wanted}" in result.stderr


@pytest.mark.parametrize("arguments, wanted", [
    ([], "either --config FILE or --dev is needed"),
    (["--config", "/nowhere/x.yaml"], "/nowhere/x.yaml: No such file or directory"),
    (["--dev", "--no_such_key", "1"], "unknown flag '--no_such_key'"),
    (["--dev", "--shards"], "--shards needs a value"),
    (["--dev", "--broker-id", "0"], "broker_id: '0' is not allowed"),
    (["--dev", "--shards", "17"], "a number from 0 to 16"),
])
def test_wrong_flags(arguments, wanted):
    result = flotillad(*arguments)
    assert result.returncode == 2 and wanted in result.stderr


def test_the_config_page_is_the_table():
    page = (BUILD.parent / "docs" / "CONFIG.md")
    if not page.exists():
        page = __import__("pathlib").Path(__file__).parents[2] / "docs" / "CONFIG.md"
    assert page.read_text() == flotillad("--help-markdown").stdout


def test_the_page_of_kafkas_configs_is_the_tables():
    page = __import__("pathlib").Path(__file__).parents[2] / "docs" / "KAFKA_CONFIGS.md"
    assert page.read_text() == flotillad("--help-kafka-markdown").stdout


def test_help_names_every_command():
    text = flotilla("--help").stdout
    for command in ("topic create", "topic list", "topic describe", "topic delete", "produce", "consume",
                    "cluster status", "raft status", "cert"):
        assert command in text


@pytest.mark.parametrize("arguments, wanted", [
    (["nonsense"], "unknown command 'nonsense'"),
    (["topic", "create"], "topic create needs a name"),
    (["topic", "create", "x", "--partitions", "many"], "--partitions: 'many' is not a number"),
    (["topic", "create", "x", "--parts", "1"], "unknown option --parts"),
    (["consume", "x", "y"], "'y' is one argument too many"),
    (["raft", "status", "-o", "xml"], "-o takes json, not 'xml'"),
    (["topic"], "topic create NAME"),
    (["topic", "nonsense"], "unknown command 'topic nonsense'"),
    (["produce", "x", "--acks", "7"], "--acks does not take '7'"),
    (["produce", "x", "--compression", "rar"], "--compression does not take 'rar'"),
    (["cert", "--directory", "/nowhere/x", "--for", "1,0"], "--for: '0' is not a number"),
])
def test_wrong_commands(arguments, wanted):
    result = flotilla(*arguments)
    assert result.returncode == 2 and wanted in result.stderr


@pytest.mark.parametrize("words", [["topic", "list"], ["topic", "delete", "x"], ["consume", "x"],
                                   ["produce", "x"]])
def test_a_cluster_that_is_not_there_is_told(words):
    ports = PortLease()
    address = f"127.0.0.1:{ports.take()}"
    result = flotilla("--timeout-ms", "500", "--brokers", address, *words)
    ports.release()
    assert result.returncode == 1
    assert "no broker answered within 500 ms" in result.stderr and address in result.stderr


@pytest.fixture
def dev_broker(tmp_path):
    """A single broker without a config file, in an empty directory."""
    ports = PortLease()
    kafka, peer, admin = ports.take(), ports.take(), ports.take()
    log = open(tmp_path / "log", "wb")
    process = subprocess.Popen(
        [BUILD / "flotillad", "--dev", "--kafka_listener", f"127.0.0.1:{kafka}", "--peer_listener",
         f"127.0.0.1:{peer}", "--admin_listener", f"127.0.0.1:{admin}"],
        cwd=tmp_path, stdout=log, stderr=log)
    process.tool = lambda *arguments, **options: subprocess.run(
        [BUILD / "flotilla", *arguments, "--brokers", f"127.0.0.1:{kafka}", "--admin", f"127.0.0.1:{admin}"],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, **options)
    process.directory = tmp_path
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()
        ports.release()
    assert not faults_in((tmp_path / "log").read_text(errors="replace"))


def test_dev_mode(dev_broker):
    wait_for(lambda: dev_broker.tool("cluster", "status").returncode == 0, "the broker answers")
    assert dev_broker.tool("produce", "hello", input="one\ntwo\n").returncode == 0
    assert dev_broker.tool("consume", "hello", "--exit").stdout == "one\ntwo\n"
    assert (dev_broker.directory / "flotilla-data" / "meta").exists()
    status = json.loads(dev_broker.tool("raft", "status", "-o", "json").stdout)
    assert {group["group"]: group["leader"] for group in status["groups"]} == {1: 1, 1001: 1}
    dev_broker.send_signal(signal.SIGTERM)
    assert dev_broker.wait(PATIENCE_SECONDS) == 0


def test_a_broker_with_many_files_answers_everywhere(make_cluster):
    """Two files a partition: descriptors of new connections are beyond what select() can watch."""
    cluster = make_cluster(size=1, tls=False).start()
    broker = cluster.brokers[1]
    cluster.create_topic("many", partitions=600, replication=1)
    assert broker.stop() == 0
    cluster.start()
    wait_for(lambda: len(os.listdir(f"/proc/{broker.process.pid}/fd")) > 1200, "every log is open")
    assert broker.get("/healthz") == "ok\n"
    assert json.loads(cluster.tool("cluster", "status", "-o", "json").stdout)["partitions"] == 600


def test_a_second_broker_does_not_touch_the_data(dev_broker):
    wait_for(lambda: dev_broker.tool("cluster", "status").returncode == 0, "the broker answers")
    ports = PortLease()
    arguments = []
    for key in ("kafka", "peer", "admin"):
        arguments += [f"--{key}_listener", f"127.0.0.1:{ports.take()}"]
    result = flotillad("--dev", *arguments, cwd=dev_broker.directory)
    ports.release()
    assert result.returncode == 2 and "flotilla-data" in result.stderr


@pytest.mark.parametrize("busy", ["kafka", "peer", "admin"])
def test_a_busy_port_is_named(dev_broker, tmp_path, busy):
    wait_for(lambda: dev_broker.tool("cluster", "status").returncode == 0, "the broker answers")
    ports = PortLease()
    address = dev_broker.args[dev_broker.args.index(f"--{busy}_listener") + 1]
    arguments = ["--data_directory", tmp_path / "other", f"--{busy}_listener", address]
    for key in {"kafka", "peer", "admin"} - {busy}:
        arguments += [f"--{key}_listener", f"127.0.0.1:{ports.take()}"]
    result = flotillad("--dev", *arguments)
    ports.release()
    assert result.returncode == 2
    assert f"{address}: address already in use" in result.stderr.lower()


def test_foreign_data_is_refused(make_cluster):
    cluster = make_cluster(size=1, tls=False).start()
    broker = cluster.brokers[1]
    assert broker.stop() == 0
    before = sorted(p for p in broker.directory.rglob("*"))
    broker.write_config()
    text = broker.config_path.read_text().replace("broker_id: 1", "broker_id: 2").replace("[1@", "[2@")
    broker.config_path.write_text(text)
    result = flotillad("--config", broker.config_path)
    assert result.returncode == 2 and "1" in result.stderr and "2" in result.stderr
    broker.config_path.write_text(text.replace("broker_id: 2", "broker_id: 1").replace("[2@", "[1@")
                                  .replace("cluster_name: test", "cluster_name: other"))
    result = flotillad("--config", broker.config_path)
    assert result.returncode == 2
    assert sorted(p for p in broker.directory.rglob("*")) == before


def test_metrics_health_and_status(shared_cluster):
    shared_cluster.create_topic("seen", partitions=3)
    shared_cluster.tool("produce", "seen", stdin="x\n" * 100)
    for broker in shared_cluster.brokers.values():
        assert broker.get("/healthz") == "ok\n"
        text = broker.get("/metrics")
        for name in ("inter_broker_requests_total{", "inter_broker_request_duration_seconds",
                     "flotilla_raft_groups{role=\"leader\"}", "flotilla_raft_groups_leaderless",
                     "flotilla_log_flush_seconds_bucket", "flotilla_produce_records_total"):
            assert name in text, name
    produced = sum(b.metric("flotilla_produce_records_total") for b in shared_cluster.brokers.values())
    assert produced >= 100
    status = json.loads(shared_cluster.tool("cluster", "status", "-o", "json").stdout)
    assert [broker["id"] for broker in status["brokers"]] == [1, 2, 3]
    assert all(broker["live"] for broker in status["brokers"])

    def seen_groups():
        groups = json.loads(shared_cluster.tool("raft", "status", "-o", "json").stdout)["groups"]
        return [group for group in groups if group.get("topic") == "seen"]

    # A busy broker may miss its turn at first; then the lead is passed to it later.
    wait_for(lambda: len({group["leader"] for group in seen_groups()}) == 3, "leaders are spread")
    seen = seen_groups()
    assert len(seen) == 3
    for group in seen:
        assert len(group["replicas"]) == 3


def test_status_tells_of_a_dead_broker(make_cluster):
    cluster = make_cluster().start()
    cluster.create_topic("watched", partitions=3)
    victim = cluster.leader_of("watched", 0)
    victim.kill()

    def all_led():
        status = cluster.tool("raft", "status", "-o", "json")
        groups = json.loads(status.stdout)["groups"]
        return all(group["leader"] not in (0, victim.number) for group in groups)

    wait_for(all_led, "every group has a living leader")
    wait_for(lambda: f"broker {victim.number}" in cluster.tool("cluster", "status").stdout
             and "DOWN" in cluster.tool("cluster", "status").stdout, "the status says who is down")


def test_certificates_are_not_overwritten(tmp_path):
    first = flotilla("cert", "--directory", tmp_path / "certs", "--for", "7")
    assert first.returncode == 0
    assert (tmp_path / "certs" / "broker7.key").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "certs" / "ca.key").read_bytes()
    assert flotilla("cert", "--directory", tmp_path / "certs", "--for", "7").returncode == 1
    assert (tmp_path / "certs" / "ca.key").read_bytes() == before


def test_a_key_that_others_can_read_is_refused(make_cluster):
    cluster = make_cluster()
    (cluster.directory / "certs" / "broker1.key").chmod(0o644)
    broker = cluster.brokers[1]
    broker.write_config()
    result = flotillad("--config", broker.config_path)
    assert result.returncode == 2 and "broker1.key" in result.stderr
