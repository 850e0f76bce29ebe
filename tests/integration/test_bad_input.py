"""What a broker does with input that no client sends: the connection-level cases I-3 to I-20.

"Closed" is an end of the connection without an answer; after each case the broker still serves.
"""
import socket
import struct
import threading

import pytest

from cluster import SANITIZER, wait_for
from protocol import API_VERSIONS, FETCH, LIST_OFFSETS, METADATA, PRODUCE, Connection, frame, request, string


@pytest.fixture
def broker(shared_cluster):
    broker = shared_cluster.brokers[1]
    yield broker
    with Connection(broker.kafka_port) as connection:
        assert_served(connection)


def assert_served(connection):
    answer = connection.ask(request(API_VERSIONS, 0, correlation=99))
    assert struct.unpack(">ih", answer[:6]) == (99, 0)


def assert_grew_less(broker, before, mib):
    """Not looked at under a sanitizer, which keeps freed memory and shadows of all."""
    if not SANITIZER:
        assert broker.metric("process_resident_memory_bytes") < before + mib * 1024 * 1024


def assert_closed(broker, data):
    with Connection(broker.kafka_port) as connection:
        try:
            connection.send(data)
        except (ConnectionResetError, BrokenPipeError):
            return
        assert connection.is_closed()


@pytest.mark.parametrize("size", [2**31 - 1, 100 * 1024 * 1024 + 1])
def test_i3_a_huge_frame_is_refused_before_it_is_stored(broker, size):
    before = broker.metric("process_resident_memory_bytes")
    assert_closed(broker, struct.pack(">i", size) + request(API_VERSIONS, 0))
    assert_grew_less(broker, before, 8)


def test_i4_size_larger_than_what_comes(broker):
    with Connection(broker.kafka_port) as connection:
        connection.send(struct.pack(">i", 1000) + request(API_VERSIONS, 0))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.is_closed()


def test_i4_size_smaller_than_the_body(broker):
    payload = request(METADATA, 1, struct.pack(">i", 1) + string("some-topic"))
    assert_closed(broker, struct.pack(">i", len(payload) - 4) + payload)


def test_i5_bytes_behind_the_body_are_let_pass(broker):
    """As Kafka does: librdkafka 2.0 sends a tag section too many in several requests."""
    with Connection(broker.kafka_port) as connection:
        assert connection.ask(request(METADATA, 1, struct.pack(">i", 0) + b"tail"))
        assert connection.ask(request(METADATA, 1, struct.pack(">i", 0)))


@pytest.mark.parametrize("size", [-1, -2**31, 0, 1, 2, 3, 4, 5, 6, 7])
def test_i6_negative_and_tiny_frames(broker, size):
    assert_closed(broker, struct.pack(">i", size) + b"\0" * max(size, 0))


def test_i7_many_pipelined_requests_are_answered_in_order(broker):
    with Connection(broker.kafka_port) as connection:
        sender = threading.Thread(target=connection.send, args=(
            b"".join(frame(request(METADATA, 1, struct.pack(">i", 0), correlation=i))
                     for i in range(1000)),))
        sender.start()
        for i in range(1000):
            assert struct.unpack(">i", connection.read_frame()[:4])[0] == i
        sender.join()


def test_i8_a_client_that_never_reads_is_bounded(broker):
    before = broker.metric("process_resident_memory_bytes")
    with Connection(broker.kafka_port) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.socket.settimeout(2)
        one = frame(request(METADATA, 1, struct.pack(">i", -1)))
        try:
            for _ in range(20000):
                connection.send(one)
        except OSError:
            pass
        assert_grew_less(broker, before, 64)


def test_i9_every_split_of_a_request(broker):
    payload = frame(request(API_VERSIONS, 3, b"\x05test\x041.0\0", flexible=True))
    with Connection(broker.kafka_port) as connection:
        connection.send(payload)
        whole = connection.read_frame()
        for split in range(1, len(payload)):
            connection.send(payload[:split])
            connection.send(payload[split:])
            assert connection.read_frame() == whole
        for byte in payload:
            connection.send(bytes([byte]))
        assert connection.read_frame() == whole


@pytest.mark.parametrize("key", [-1, 32767, 95, 999])
def test_i10_unknown_api_key(broker, key):
    assert_closed(broker, frame(request(key, 0)))


@pytest.mark.parametrize("key, version", [(METADATA, 99), (PRODUCE, 2), (FETCH, -1), (LIST_OFFSETS, 12)])
def test_i11_unsupported_version(broker, key, version):
    assert_closed(broker, frame(request(key, version)))


def test_i11_api_versions_answers_any_version(broker):
    with Connection(broker.kafka_port) as connection:
        answer = connection.ask(request(API_VERSIONS, 77))
        correlation, error, count = struct.unpack(">ihi", answer[:10])
        assert (correlation, error) == (7, 35)
        ranges = {struct.unpack(">hhh", answer[10 + 6 * i:16 + 6 * i])[0] for i in range(count)}
        assert API_VERSIONS in ranges


@pytest.mark.parametrize("key", [4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67,
                                 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007])
def test_i12_requests_between_brokers_are_refused_on_the_client_listener(broker, key):
    assert_closed(broker, frame(request(key, 0)))


@pytest.mark.parametrize("count", [-2, -2**31])
def test_i13_negative_counts(broker, count):
    assert_closed(broker, frame(request(METADATA, 1, struct.pack(">i", count))))


def test_i13_null_where_none_is_allowed(broker):
    assert_closed(broker, frame(request(METADATA, 1, struct.pack(">i", 1) + string(None))))


def test_i14_counts_larger_than_the_bytes_left(broker):
    before = broker.metric("process_resident_memory_bytes")
    for count in (10, 2**20, 2**31 - 1):
        assert_closed(broker, frame(request(METADATA, 1, struct.pack(">i", count) + b"\0\0")))
    assert_grew_less(broker, before, 8)


@pytest.mark.parametrize("varint", [b"\xff\xff\xff\xff\x0f", b"\x02"])
def test_i15_compact_lengths_past_the_end(broker, varint):
    assert_closed(broker, frame(request(METADATA, 9, varint, flexible=True)))


@pytest.mark.parametrize("varint", [b"\xff" * 6, b"\xff\xff\xff\xff\x7f", b"\x80"])
def test_i16_broken_varints(broker, varint):
    assert_closed(broker, frame(request(METADATA, 9, varint, flexible=True)))


@pytest.mark.parametrize("length", [-2, 5000])
def test_i17_string_lengths(broker, length):
    body = struct.pack(">ih", 1, length) + b"topic"
    assert_closed(broker, frame(request(METADATA, 1, body)))


def test_i18_unknown_tagged_fields_are_skipped(broker):
    with Connection(broker.kafka_port) as connection:
        head = struct.pack(">hhi", API_VERSIONS, 3, 7) + string("test")
        answer = connection.ask(head + b"\x01\x63\x02ab" + b"\x05test\x041.0" + b"\x01\x64\x03abc")
        assert struct.unpack(">ih", answer[:6]) == (7, 0)


@pytest.mark.parametrize("tags", [
    b"\xff\xff\xff\x7f",                               # millions of them
    b"\x41" + b"".join(bytes([i, 0]) for i in range(65)),  # more than 64
    b"\x02\x05\x00\x05\x00",                           # twice the same
    b"\x02\x06\x00\x05\x00",                           # descending
    b"\x01\x05\xff\x7f",                               # longer than the rest
])
def test_i18_bad_tagged_fields(broker, tags):
    head = struct.pack(">hhi", API_VERSIONS, 3, 7) + string("test")
    assert_closed(broker, frame(head + tags + b"\x05test\x041.0\0"))


@pytest.mark.parametrize("client_id", [None, "x" * 32000, b"\xff\xfe\x00", "line\nbreak\"quote\x1b[0m"])
def test_i19_client_ids_are_bytes(broker, client_id):
    with Connection(broker.kafka_port) as connection:
        answer = connection.ask(request(API_VERSIONS, 0, client_id=client_id))
        assert struct.unpack(">ih", answer[:6]) == (7, 0)
    assert "\nbreak" not in broker.log()


@pytest.mark.parametrize("max_wait, least, most", [
    (-2**31, 2**31 - 1, 2**31 - 1), (0, -1, 0), (2**31 - 1, 0, -2**31), (-1, -2**31, 1)])
@pytest.mark.parametrize("offset", [-2**63, 2**63 - 1, -1])
def test_i20_extreme_numbers_in_a_fetch(shared_cluster, broker, max_wait, least, most, offset):
    shared_cluster.tool("produce", "extremes", stdin="x\n")
    leader = shared_cluster.leader_of("extremes")
    body = struct.pack(">iiiibi", -1, max_wait, least, most, 0, 1) + string("extremes")
    body += struct.pack(">i", 1) + struct.pack(">iqi", 0, offset, most)
    with Connection(leader.kafka_port) as connection:
        answer = connection.ask(request(FETCH, 4, body))
        topics_at = 8
        assert struct.unpack(">i", answer[topics_at:topics_at + 4])[0] == 1
        name_length = struct.unpack(">h", answer[12:14])[0]
        partition_at = 14 + name_length + 4
        _, error = struct.unpack(">ih", answer[partition_at:partition_at + 6])
        assert error == 1, "OFFSET_OUT_OF_RANGE"


def test_a_normal_client_does_not_notice(shared_cluster, broker):
    """Hostile connections beside an ordinary producer."""
    stop = threading.Event()

    def harass():
        while not stop.is_set():
            for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                         b"SSH-2.0-x\r\n", struct.pack(">i", -5), frame(request(77, 7))):
                try:
                    with Connection(broker.kafka_port, timeout=5) as connection:
                        connection.send(data)
                except OSError:
                    pass

    threads = [threading.Thread(target=harass) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        shared_cluster.tool("produce", "beside", stdin="".join(f"{i}\n" for i in range(20000)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    lines = shared_cluster.tool("consume", "beside", "--exit").stdout.splitlines()
    assert lines == [str(i) for i in range(20000)]
    wait_for(lambda: broker.metric("flotilla_connections_total", 'result="bad_input"') > 0,
             "bad input is counted")
