"""Just enough of the Kafka protocol, written by hand, to send what no client would."""
import socket
import ssl
import struct

from cluster import PATIENCE_SECONDS

API_VERSIONS, METADATA, PRODUCE, FETCH, LIST_OFFSETS = 18, 3, 0, 1, 2


def string(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">h", len(data)) + data


def request(key, version, body=b"", correlation=7, client_id="test", flexible=False):
    head = struct.pack(">hhi", key, version, correlation) + string(client_id)
    return head + (b"\0" if flexible else b"") + body


def compact_string(text):
    """Of a flexible version, shorter than 127 bytes."""
    return bytes([len(text) + 1]) + text.encode()


class Reader:
    """Reads an answer field by field; flexible versions have varint lengths and tag sections."""
    def __init__(self, answer, flexible):
        self.data = answer
        self.flexible = flexible
        self.position = 4  # behind the correlation id
        if flexible:
            self.tags()

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.position)
        self.position += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def tags(self):
        if self.flexible:
            for _ in range(self.varint()):
                self.varint()
                self.position += self.varint()

    def count(self):
        return self.varint() - 1 if self.flexible else self.take("i")

    def string(self):
        length = self.varint() - 1 if self.flexible else self.take("h")
        if length < 0:
            return None
        self.position += length
        return self.data[self.position - length:self.position].decode()

    def array(self, read):
        """None: null.  read() reads one element without its tags."""
        def element():
            value = read()
            self.tags()
            return value
        count = self.count()
        return None if count < 0 else [element() for _ in range(count)]

    def numbers(self, letter):
        """An array of numbers, which have no tags."""
        return [self.take(letter) for _ in range(self.count())]

    def ends(self):
        self.tags()
        return self.position == len(self.data)


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


class Connection:
    def __init__(self, port, tls=None, timeout=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout or PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_exactly(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise EOFError("closed by the broker")
            data += part
        return data

    def read_frame(self):
        (length,) = struct.unpack(">i", self.read_exactly(4))
        return self.read_exactly(length)

    def ask(self, payload):
        self.send(frame(payload))
        return self.read_frame()

    def is_closed(self):
        """Waits for the broker to close; False when it answers instead."""
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return True


def client_tls(certs, number=None):
    """A TLS context that trusts the brokers' authority; with a broker's certificate when number is given."""
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    context.check_hostname = False
    if number is not None:
        context.load_cert_chain(certs / f"broker{number}.pem", certs / f"broker{number}.key")
    return context
