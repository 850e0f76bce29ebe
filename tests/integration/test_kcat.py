"""Bytes in, the same bytes out, with kcat."""
import hashlib
import json
import subprocess

import pytest


def kcat(cluster, *arguments, stdin=None):
    return subprocess.run(["kcat", "-b", cluster.bootstrap, *arguments], input=stdin, capture_output=True,
                          timeout=120, check=True).stdout


@pytest.fixture(scope="module")
def text():
    dump = subprocess.run(["apt-cache", "dumpavail"], capture_output=True).stdout
    lines = [line for line in dump.splitlines() if line][:200000]
    if len(lines) < 1000:
        lines = [b"line %d %s" % (i, b"x" * (i % 300)) for i in range(20000)]
    return b"\n".join(lines) + b"\n"


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_bytes_come_back_in_order(shared_cluster, topic_name, text, codec):
    shared_cluster.create_topic(topic_name)
    kcat(shared_cluster, "-P", "-t", topic_name, "-X", "acks=all", "-z", codec, stdin=text)
    back = kcat(shared_cluster, "-C", "-e", "-q", "-o", "beginning", "-t", topic_name)
    assert hashlib.sha256(back).digest() == hashlib.sha256(text).digest()
    offsets = json.loads(shared_cluster.tool("topic", "describe", topic_name, "-o", "json").stdout)
    partition = offsets["partitions"][0]
    assert partition["start_offset"] == 0
    assert partition["end_offset"] == text.count(b"\n")


def test_metadata_names_the_brokers(shared_cluster):
    listing = json.loads(kcat(shared_cluster, "-L", "-J"))
    assert sorted(broker["id"] for broker in listing["brokers"]) == [1, 2, 3]
    assert {broker["name"] for broker in listing["brokers"]} == {
        broker.kafka for broker in shared_cluster.brokers.values()}


def test_offset_by_time(shared_cluster, topic_name):
    shared_cluster.create_topic(topic_name)
    kcat(shared_cluster, "-P", "-t", topic_name, stdin=b"a\nb\nc\n")
    assert b"offset 0" in kcat(shared_cluster, "-Q", "-t", f"{topic_name}:0:1")
    assert b"offset 3" in kcat(shared_cluster, "-Q", "-t", f"{topic_name}:0:-1")


def test_produce_to_a_missing_topic_creates_it(shared_cluster, topic_name):
    kcat(shared_cluster, "-P", "-t", topic_name, stdin=b"first\n")
    assert kcat(shared_cluster, "-C", "-e", "-q", "-o", "beginning", "-t", topic_name) == b"first\n"
