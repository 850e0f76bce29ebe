"""What clients and observers saw, one JSON object a line, in files that outlive every process.

Every event has "do", "client" and "time" (seconds of the monotonic clock, which all processes of a machine
share).  What the others carry:

    begin     kind (producer, consumer, ends, topics, observer); of a producer: acks ("all" or "1"),
              idempotent, ordered (what it sends to a partition arrives in that order)
    send      partition, value                 before the message is handed to the client library
    acked     value, offset (null: not told)
    failed    value, error, definite ("broker" or "client" when that one promises that the message was
              not written, null when nobody knows)
    assign    positions {partition: offset}    a consumer starts reading there
    poll      partition, records [[offset, value], ...]   one answer; value null: not what any client sent
    ends      partition, started, low, high    the log's start and high watermark, as ListOffsets says
    created, deleted       topic               the answer was success
    listed    topics, last                     last: when all was whole again
    leads     group, broker, term              a broker says that it leads
    healed                                     the last fault has ended
    finished  partition, high                  everything up to high was read once more, from the start
    replica   partition, broker, start, end, digest   of the bytes of one replica when nothing moved
"""
import json
import threading
import time
import zlib


class Writer:
    """One file; used by one client, which may have several threads."""

    def __init__(self, directory, client):
        self.client = client
        self.file = open(directory / f"{client}.history", "a", buffering=1, encoding="utf-8")
        self.lock = threading.Lock()

    def note(self, do, **fields):
        with self.lock:
            self.file.write(json.dumps({"do": do, "client": self.client, "time": time.monotonic(),
                                        **fields}) + "\n")

    def close(self):
        with self.lock:
            self.file.close()


def read_all(directory):
    """All events of a run, in the order of their time."""
    events = []
    for path in sorted(directory.glob("*.history")):
        with open(path, encoding="utf-8") as lines:
            events += [json.loads(line) for line in lines]
    return sorted(events, key=lambda event: event["time"])


# A message proves by itself that its bytes are those that were sent.

def make_message(value, size=100):
    """The bytes of a value ("client:number"): itself, filled up, and a checksum."""
    head = f"{value} ".encode()
    body = head + b"." * max(0, size - len(head) - 8)
    return body + f"{zlib.crc32(body):08x}".encode()


def read_message(data):
    """The value, or None when these bytes were never sent."""
    body, checksum = data[:-8], data[-8:]
    if f"{zlib.crc32(body):08x}".encode() != checksum:
        return None
    return body.split(b" ", 1)[0].decode()
