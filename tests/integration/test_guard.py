"""The guard of the inter-broker listener: address, certificate, hello -- all three or nothing.

The tests play a broker with real certificates and try everything short of being one.
"""
import base64
import itertools
import os
import socket
import ssl
import struct
import subprocess

import pytest

from cluster import wait_for
from protocol import Connection, client_tls, frame, request, string

HELLO, RAFT_FRAME, FORWARD, START, STOP = 1000, 1001, 1002, 1003, 1004
STRANGER = "127.0.0.2"  # not in the allow-list below


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("guard"), peer_allow='[127.0.0.1/32, "::1/128"]')
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory):
    """Certificates of the same names, signed by somebody else."""
    from cluster import BUILD
    directory = tmp_path_factory.mktemp("other") / "certs"
    subprocess.run([BUILD / "flotilla", "cert", "--cluster", "test", "--directory", directory], check=True)
    return directory


def certs(cluster):
    return cluster.directory / "certs"


def cluster_id(cluster):
    text = cluster.brokers[1].status("/v1/cluster")["cluster_id"]
    return base64.urlsafe_b64decode(text + "==")


def hello(cluster, broker_id, identity=None):
    body = (identity or cluster_id(cluster)) + struct.pack(">I", broker_id) + os.urandom(16)
    return request(HELLO, 0, body + struct.pack(">IIhH16sqi", 1, 0, 0, 0, bytes(16), 0, 0))  # reached nowhere


def start_body(group_id):
    return (struct.pack(">q", group_id) + string("guard-topic") + bytes(16) + struct.pack(">i?", 0, False)
            + struct.pack(">i", 0))


def stop_body(group_id):
    return struct.pack(">q", group_id) + string("guard-topic") + bytes(16) + struct.pack(">i", 0)


BODIES = {START: start_body, STOP: stop_body}


def connect(broker, source="127.0.0.1", tls=None):
    plain = socket.create_connection(("127.0.0.1", broker.peer_port), timeout=20,
                                     source_address=(source, 0))
    connection = Connection.__new__(Connection)
    connection.socket = plain if tls is None else tls.wrap_socket(plain)
    return connection


def try_request(cluster, key, source, tls, identity, broker_id=2):
    """The answer to an inter-broker request after a hello, or None when the broker let us down."""
    try:
        connection = connect(cluster.brokers[1], source, tls)
        connection.ask(hello(cluster, broker_id, identity))
        answer = connection.ask(request(key, 0, BODIES[key](0)))
        connection.socket.close()
        return answer
    except (EOFError, OSError):
        return None


@pytest.mark.parametrize("key", [START, STOP])
@pytest.mark.parametrize("good_address, good_certificate, good_hello",
                         itertools.product([False, True], repeat=3))
def test_p1_truth_table(cluster, other_authority, key, good_address, good_certificate, good_hello):
    broker = cluster.brokers[1]
    refused_before = broker.metric("flotilla_inter_broker_unauthorized_total")
    tls = client_tls(certs(cluster), 2)
    if not good_certificate:
        tls = ssl.create_default_context(cafile=str(certs(cluster) / "ca.pem"))
        tls.check_hostname = False
        tls.load_cert_chain(other_authority / "broker2.pem", other_authority / "broker2.key")
    answer = try_request(cluster, key, "127.0.0.1" if good_address else STRANGER, tls, None,
                         2 if good_hello else 3)
    if good_address and good_certificate and good_hello:
        assert answer is not None and b"invalid raft group ID" in answer
    else:
        assert answer is None
        wait_for(lambda: broker.metric("flotilla_inter_broker_unauthorized_total") > refused_before,
                 "the refusal is counted")
        source = "127.0.0.1" if good_address else STRANGER
        wait_for(lambda: f"unauthorized inter-broker request from {source}" in broker.log(),
                 "the refusal is in the log")


def test_p2_a_stranger_gets_no_tls(cluster):
    plain = connect(cluster.brokers[1], STRANGER)
    assert plain.is_closed()


def test_p3_the_dialling_side_checks_whom_it_reached(make_cluster):
    """Brokers 2 and 3 swap certificates: nobody accepts them, in either direction."""
    cluster = make_cluster()
    directory = certs(cluster)
    for suffix in ("pem", "key"):
        (directory / f"broker2.{suffix}").rename(directory / "kept")
        (directory / f"broker3.{suffix}").rename(directory / f"broker2.{suffix}")
        (directory / "kept").rename(directory / f"broker3.{suffix}")
    for broker in cluster.brokers.values():
        broker.start()
    wait_for(lambda: "unauthorized inter-broker request from" in cluster.brokers[1].log(), "a refusal")
    assert not any("leads the controller group" in broker.log() for broker in cluster.brokers.values())
    assert cluster.brokers[1].status("/v1/cluster")["controller"] == 0


def make_certificate(directory, signer, uri, name="odd", days="30", usage="serverAuth,clientAuth",
                     not_before=None):
    """A certificate signed by the brokers' authority with whatever URI a test wants."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", directory / f"{name}.csr", "-subj", "/CN=broker 2"],
                   check=True, capture_output=True)
    extensions = directory / f"{name}.cnf"
    names = f"subjectAltName={uri}\n" if uri else ""
    extensions.write_text(f"{names}extendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n")
    subprocess.run(["openssl", "x509", "-req", "-in", directory / f"{name}.csr", "-CA", signer / "ca.pem",
                    "-CAkey", signer / "ca.key", "-CAcreateserial", "-days", days, "-extfile", extensions,
                    "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize("uri", [
    "", "DNS:localhost", "URI:broker://test/2", "URI:flotilla://other/broker/2",
    "URI:flotilla://test/broker/2,URI:flotilla://test/broker/3", "URI:flotilla://test/broker/2/x"])
def test_p4_only_a_brokers_name_counts(cluster, tmp_path, uri):
    certificate, key = make_certificate(tmp_path, certs(cluster), uri)
    tls = client_tls(certs(cluster))
    tls.load_cert_chain(certificate, key)
    assert try_request(cluster, START, "127.0.0.1", tls, None) is None


@pytest.mark.parametrize("case", ["self-signed", "server-only", "expired", "none"])
def test_p5_bad_certificates(cluster, tmp_path, case):
    tls = client_tls(certs(cluster))
    uri = "URI:flotilla://test/broker/2"
    if case == "self-signed":
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", tmp_path / "odd.key", "-out", tmp_path / "odd.pem", "-subj",
                        "/CN=x", "-addext", f"subjectAltName={uri}"], check=True, capture_output=True)
        tls.load_cert_chain(tmp_path / "odd.pem", tmp_path / "odd.key")
    elif case == "server-only":
        tls.load_cert_chain(*make_certificate(tmp_path, certs(cluster), uri, usage="serverAuth"))
    elif case == "expired":
        # Valid for no day at all: over before it is used.
        tls.load_cert_chain(*make_certificate(tmp_path, certs(cluster), uri, days="-1"))
    assert try_request(cluster, START, "127.0.0.1", tls, None) is None


@pytest.mark.parametrize("key", [RAFT_FRAME, FORWARD, START, STOP, 18, 3])
def test_p6_nothing_before_the_hello(cluster, key):
    connection = connect(cluster.brokers[1], tls=client_tls(certs(cluster), 2))
    connection.send(frame(request(key, 0, start_body(0))))
    assert connection.is_closed()


def test_p6_no_second_hello(cluster):
    connection = connect(cluster.brokers[1], tls=client_tls(certs(cluster), 2))
    connection.ask(hello(cluster, 2))
    connection.send(frame(hello(cluster, 2)))
    assert connection.is_closed()


@pytest.mark.parametrize("broker_id", [0, 1, 3, 12, 22, 2**31 - 1, 2**32 - 1])
def test_p7_the_id_matches_exactly(cluster, broker_id):
    tls = client_tls(certs(cluster), 2)
    assert try_request(cluster, START, "127.0.0.1", tls, None, broker_id) is None


@pytest.mark.parametrize("name", ["02", "2%20", "+2", "2/", "1"])
def test_p7_spellings_of_the_id(cluster, tmp_path, name):
    certificate, key = make_certificate(tmp_path, certs(cluster), f"URI:flotilla://test/broker/{name}")
    tls = client_tls(certs(cluster))
    tls.load_cert_chain(certificate, key)
    assert try_request(cluster, START, "127.0.0.1", tls, None) is None


def test_p8_the_subject_does_not_matter(cluster, tmp_path):
    """The common name of these certificates is always "broker 2"; only the URI is looked at."""
    certificate, key = make_certificate(tmp_path, certs(cluster), "URI:flotilla://test/broker/3")
    tls = client_tls(certs(cluster))
    tls.load_cert_chain(certificate, key)
    assert try_request(cluster, START, "127.0.0.1", tls, None, 2) is None
    assert try_request(cluster, START, "127.0.0.1", tls, None, 3) is not None


def test_p9_sessions_are_not_resumed(cluster):
    tls = client_tls(certs(cluster), 2)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    first = connect(cluster.brokers[1], tls=tls)
    first.ask(hello(cluster, 2))
    session = first.socket.session
    first.socket.close()
    plain = socket.create_connection(("127.0.0.1", cluster.brokers[1].peer_port), timeout=20)
    second = tls.wrap_socket(plain, session=session)
    assert not second.session_reused
    second.close()


def test_p13_another_cluster(cluster):
    tls = client_tls(certs(cluster), 2)
    assert try_request(cluster, START, "127.0.0.1", tls, os.urandom(16)) is None


def test_p14_plain_tcp_gets_nothing(cluster):
    connection = connect(cluster.brokers[1])
    connection.send(frame(hello(cluster, 2)) + frame(request(START, 0, start_body(0))))
    try:
        answer = connection.socket.recv(100)
    except OSError:
        answer = b""
    # At most a TLS alert; never an answer.
    assert answer == b"" or answer[0] == 21


def test_old_tls_is_refused(cluster):
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{cluster.brokers[1].peer_port}", "-tls1_1",
         "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert "Cipher is (NONE)" in result.stdout or result.returncode != 0


def test_a_group_that_runs_is_not_started_twice(cluster):
    cluster.create_topic("guard-topic")
    group = next(iter(cluster.groups("guard-topic")[0].values()))["group"]
    connection = connect(cluster.brokers[1], tls=client_tls(certs(cluster), 2))
    connection.ask(hello(cluster, 2))
    assert b"Raft group already running" in connection.ask(request(START, 0, start_body(group)))
