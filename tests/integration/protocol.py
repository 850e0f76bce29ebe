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
