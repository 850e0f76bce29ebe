"""Kafka messages of any version as dictionaries, by the schemas of src/wire/schemas, and record batches: for
tests that must say or see on the wire what no client library would.

    answer = Client(port).ask("fetch", 12, max_wait_ms=100, topics=[{"topic": "t", "partitions": [...]}])

Fields are named as in the schemas, in snake case; what is left out has its default."""
import pathlib
import struct
import sys
import time
import zlib

from protocol import Connection, frame

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools" / "wire_generator"))

from schema import load  # noqa: E402

SCALARS = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I",
           "int64": ">q", "float64": ">d"}
SCHEMAS = {}


def schema(name):
    if name not in SCHEMAS:
        SCHEMAS[name] = load(ROOT / "src" / "wire" / "schemas" / f"{name}.schema")
    return SCHEMAS[name]


def uvarint(number):
    data = b""
    while number >= 0x80:
        data += bytes([number & 0x7f | 0x80])
        number >>= 7
    return data + bytes([number])


def varint(number):
    return uvarint((number << 1) ^ (number >> 63))


# ---- What a message is made of ----

def default_of(field):
    if field.is_array or field.default == "null":
        return None if field.default == "null" else []
    if field.struct is not None:
        return {}
    if field.type in ("string", "bytes", "records"):
        return "" if field.type == "string" else b""
    if field.type == "uuid":
        return bytes(16)
    if field.type == "bool":
        return field.default == "true"
    return float(field.default or 0) if field.type == "float64" else int(field.default or "0", 0)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def raw(self, length):
        assert 0 <= length <= len(self.data) - self.at, "the message ends too early"
        self.at += length
        return self.data[self.at - length:self.at]

    def scalar(self, kind):
        code = SCALARS[kind]
        return struct.unpack(code, self.raw(struct.calcsize(code)))[0]

    def uvarint(self):
        number, shift = 0, 0
        while True:
            byte = self.raw(1)[0]
            number |= (byte & 0x7f) << shift
            if byte < 0x80:
                return number
            shift += 7

    def length(self, is_flexible, kind):
        return self.uvarint() - 1 if is_flexible else self.scalar(kind)


def read_one(reader, field, version, is_flexible):
    if field.type in SCALARS:
        return reader.scalar(field.type)
    if field.type == "uuid":
        return reader.raw(16)
    if field.struct is not None:
        if version in field.nullable and not field.is_array and reader.scalar("int8") < 0:
            return None
        return read_struct(reader, field.struct, version, is_flexible)
    length = reader.length(is_flexible, "int16" if field.type == "string" else "int32")
    if length < 0:
        return None
    data = reader.raw(length)
    return data.decode() if field.type == "string" else data


def read_field(reader, field, version, is_flexible):
    if field.flexible is not None:
        is_flexible = version in field.flexible
    if not field.is_array:
        return read_one(reader, field, version, is_flexible)
    count = reader.length(is_flexible, "int32")
    return None if count < 0 else [read_one(reader, field, version, is_flexible) for _ in range(count)]


def read_struct(reader, shape, version, is_flexible):
    message = {}
    for field in shape.fields:
        if version in field.versions:
            message[field.c_name] = default_of(field)
    for field in shape.plain_fields:
        if version in field.versions:
            message[field.c_name] = read_field(reader, field, version, is_flexible)
    if is_flexible:
        tags = {field.tag: field for field in shape.tagged_fields}
        for _ in range(reader.uvarint()):
            tag, size = reader.uvarint(), reader.uvarint()
            inner = Reader(reader.raw(size))
            if tag in tags:
                message[tags[tag].c_name] = read_field(inner, tags[tag], version, is_flexible)
    return message


def write_one(field, value, version, is_flexible):
    if field.type in SCALARS:
        return struct.pack(SCALARS[field.type], value)
    if field.type == "uuid":
        return value
    if field.struct is not None:
        if version in field.nullable and not field.is_array:
            return b"\xff" if value is None else b"\x01" + write_struct(field.struct, value, version, is_flexible)
        return write_struct(field.struct, value, version, is_flexible)
    data = value.encode() if isinstance(value, str) else value
    length = -1 if data is None else len(data)
    head = struct.pack(">h" if field.type == "string" else ">i", length)
    return (uvarint(length + 1) if is_flexible else head) + (data or b"")


def write_field(field, value, version, is_flexible):
    if field.flexible is not None:
        is_flexible = version in field.flexible
    if not field.is_array:
        return write_one(field, value, version, is_flexible)
    count = -1 if value is None else len(value)
    head = uvarint(count + 1) if is_flexible else struct.pack(">i", count)
    return head + b"".join(write_one(field, each, version, is_flexible) for each in value or [])


def write_struct(shape, message, version, is_flexible):
    unknown = set(message) - {field.c_name for field in shape.fields}
    assert not unknown, f"{shape.type_name} has no {unknown}"
    data = b"".join(write_field(field, message.get(field.c_name, default_of(field)), version, is_flexible)
                    for field in shape.plain_fields if version in field.versions)
    if is_flexible:
        tagged = [(field.tag, write_field(field, message[field.c_name], version, is_flexible))
                  for field in shape.tagged_fields if version in field.versions and field.c_name in message]
        data += uvarint(len(tagged))
        data += b"".join(uvarint(tag) + uvarint(len(body)) + body for tag, body in tagged)
    return data


def section(message, kind):
    return next(each.root for each in message.sections if each.kind == kind)


# ---- Requests ----

class Client(Connection):
    """A connection that speaks in messages."""

    correlation = 0

    def encode(self, name, version, **fields):
        message = schema(name)
        is_flexible = version in message.flexible
        self.correlation += 1
        head = struct.pack(">hhih", message.type, version, self.correlation, 4) + b"test"
        body = write_struct(section(message, "request"), fields, version, is_flexible)
        return frame(head + (b"\0" if is_flexible else b"") + body)

    def post(self, name, version, **fields):
        """Sends without waiting; answers come in order, each by take()."""
        self.send(self.encode(name, version, **fields))

    def take(self, name, version):
        message = schema(name)
        is_flexible = version in message.flexible
        reader = Reader(self.read_frame())
        reader.scalar("int32")
        if is_flexible and name != "api_versions":
            assert reader.uvarint() == 0
        answer = read_struct(reader, section(message, "response"), version, is_flexible)
        assert reader.at == len(reader.data), "the answer is longer than its version says"
        return answer

    def ask(self, name, version, **fields):
        self.post(name, version, **fields)
        return self.take(name, version)


# ---- Records ----

def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def batch(values, key=None, first_timestamp=None, step_ms=0, base_offset=0, leader_epoch=-1, compress=False,
          producer=(-1, -1, -1)):
    """A record batch; producer: id, epoch, first sequence."""
    now = int(time.time() * 1000) if first_timestamp is None else first_timestamp
    records = b""
    for i, value in enumerate(values):
        data = value.encode() if isinstance(value, str) else value
        body = b"\0" + varint(step_ms * i) + varint(i)
        body += varint(-1) if key is None else varint(len(key)) + key
        body += (varint(-1) if data is None else varint(len(data)) + data) + varint(0)
        records += varint(len(body)) + body
    if compress:
        packer = zlib.compressobj(wbits=31)
        records = packer.compress(records) + packer.flush()
    body = struct.pack(">hiqqqhii", 1 if compress else 0, len(values) - 1, now, now + step_ms * (len(values) - 1),
                       *producer, len(values)) + records
    tail = struct.pack(">ibI", leader_epoch, 2, crc32c(body)) + body
    return struct.pack(">qi", base_offset, len(tail)) + tail


def batches(records):
    """(base offset, leader epoch, record count, max timestamp) of each batch."""
    found, at = [], 0
    while at + 61 <= len(records):
        base, length, epoch = struct.unpack_from(">qii", records, at)
        (count,) = struct.unpack_from(">i", records, at + 57)
        (largest,) = struct.unpack_from(">q", records, at + 35)
        found.append((base, epoch, count, largest))
        at += 12 + length
    return found
