# SPDX-License-Identifier: Apache-2.0
"""Reads a message schema (src/wire/schemas/*.schema) into objects and checks that it makes sense.

The format is described in src/wire/schemas/README.md."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from versions import Versions

SCALARS = ("bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "float64", "uuid")
LENGTH_PREFIXED = ("string", "bytes", "records")
PRIMITIVES = SCALARS + LENGTH_PREFIXED
SCALAR_BYTES = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
                "float64": 8, "uuid": 16}
SECTIONS = ("request", "response", "record", "header")


class SchemaError(Exception):
    """A schema that breaks the rules, with its place."""


def snake(name):
    """CurrentLeaderEpoch -> current_leader_epoch."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


@dataclass
class Field:
    name: str
    type: str
    is_array: bool
    versions: Versions
    nullable: Versions = Versions(1, 0)
    tag: Optional[int] = None
    default: Optional[str] = None
    flexible: Optional[Versions] = None
    struct: Optional["Struct"] = None
    line: int = 0

    @property
    def c_name(self):
        return snake(self.name)


@dataclass
class Struct:
    type_name: str
    c_name: str
    versions: Versions  # those in which it can occur
    fields: list = field(default_factory=list)

    @property
    def plain_fields(self):
        return [each for each in self.fields if each.tag is None]

    @property
    def tagged_fields(self):
        return sorted((each for each in self.fields if each.tag is not None),
                      key=lambda each: each.tag)


@dataclass
class Section:
    kind: str
    root: Struct
    structs: list = field(default_factory=list)  # every nested one, a struct before those that use it


@dataclass
class Message:
    name: str
    comment: list
    type: Optional[int]
    versions: Versions
    flexible: Versions
    sections: list = field(default_factory=list)

    @property
    def c_name(self):
        return snake(self.name)


class Parser:
    """One file, read line by line; indentation (4 blanks a level) is the nesting."""

    def __init__(self, path):
        self.path = path
        self.message = None
        self.line = 0

    def fail(self, text):
        raise SchemaError(f"{self.path}:{self.line}: {text}")

    def parse(self):
        comment, head, blocks = [], {}, []
        for self.line, text in enumerate(Path(self.path).read_text().splitlines(), 1):
            if text.startswith("#") and not head:
                comment.append(text[1:].strip())
                continue
            text = text.split("#")[0].rstrip()
            if not text:
                continue
            depth, rest = divmod(len(text) - len(text.lstrip(" ")), 4)
            if rest or "\t" in text:
                self.fail("indent by 4 blanks")
            words = text.split()
            if depth == 0 and words[0] in SECTIONS and len(words) == 1:
                blocks.append((words[0], []))
            elif depth == 0:
                if blocks or len(words) != 2:
                    self.fail("expected a section, or a name and a value")
                head[words[0]] = words[1]
            elif not blocks:
                self.fail("a field outside a section")
            else:
                blocks[-1][1].append((self.line, depth, words))
        self.read_head(comment, head)
        for kind, lines in blocks:
            self.message.sections.append(self.read_section(kind, lines))
        if not self.message.sections:
            self.fail("no section")
        return self.message

    def read_head(self, comment, head):
        unknown = set(head) - {"message", "type", "versions", "flexible"}
        if unknown or not {"message", "versions", "flexible"} <= set(head):
            self.fail("the head needs message, versions, flexible and may have type")
        if snake(head["message"]) != Path(self.path).stem:
            self.fail("the file is named after the message")
        if not comment:
            self.fail("begin with a comment that says what the message is for")
        versions = Versions.parse(head["versions"])
        self.message = Message(head["message"], comment,
                               int(head["type"]) if "type" in head else None, versions,
                               Versions.parse(head["flexible"]).intersect(versions))

    def read_section(self, kind, lines):
        name = self.message.c_name if kind == "header" else f"{self.message.c_name}_{kind}"
        section = Section(kind, Struct(self.message.name, name, self.message.versions))
        known = {}
        position = self.read_fields(section, section.root, lines, 0, 1, known)
        if position != len(lines):
            self.line = lines[position][0]
            self.fail("indented deeper than its parent allows")
        return section

    def read_fields(self, section, struct, lines, position, depth, known):
        while position < len(lines) and lines[position][1] == depth:
            self.line, _, words = lines[position]
            each = self.read_field(struct, words)
            position += 1
            struct.fields.append(each)
            if each.type in PRIMITIVES:
                continue
            context = each.versions.intersect(struct.versions)
            if position < len(lines) and lines[position][1] == depth + 1:
                if each.type in known:
                    self.fail(f"{each.type} is described twice")
                c_name = f"{section.root.c_name}_{snake(each.type)}"
                each.struct = known[each.type] = Struct(each.type, c_name, context)
                position = self.read_fields(section, each.struct, lines, position, depth + 1, known)
                section.structs.append(each.struct)
            elif each.type in known:
                each.struct = known[each.type]
                old = each.struct.versions
                each.struct.versions = Versions(min(old.least, context.least),
                                                max(old.most, context.most))
            else:
                self.fail(f"{each.type} has no fields")
        self.check_struct(struct)
        return position

    def read_field(self, struct, words):
        if len(words) < 3:
            self.fail("a field needs a name, a type and versions")
        is_array = words[1].startswith("[]")
        each = Field(words[0], words[1][2:] if is_array else words[1], is_array,
                     Versions.parse(words[2]), line=self.line)
        rest = words[3:]
        while rest:
            word = rest.pop(0)
            if word == "nullable" and rest:
                each.nullable = Versions.parse(rest.pop(0))
            elif word == "tag" and len(rest) >= 2:
                each.tag = int(rest.pop(0))
                if Versions.parse(rest.pop(0)) != each.versions:
                    self.fail("a tagged field is tagged in all its versions")
            elif word == "default" and rest:
                each.default = rest.pop(0)
            elif word == "flexible" and rest:
                each.flexible = Versions.parse(rest.pop(0))
            else:
                self.fail(f"unknown or incomplete attribute {word}")
        self.check_field(struct, each)
        return each

    def check_field(self, struct, each):
        if each.versions.intersect(struct.versions).is_empty:
            self.fail("a field that is in no version")
        if not each.nullable.is_empty and each.type in SCALARS and not each.is_array:
            self.fail(f"{each.type} cannot be null")
        if each.default == "null" and each.nullable.is_empty:
            self.fail("default null, but never nullable")
        if each.default not in (None, "null", '""') and (each.is_array or each.type not in SCALARS):
            self.fail("only null and \"\" can be the default of such a field")
        if each.tag is not None:
            if not self.message.flexible.covers(each.versions.intersect(struct.versions)):
                self.fail("a tagged field in a version that is not flexible")
            if each.type == "records":
                self.fail("records cannot be tagged: a tagged field is measured when it is written")

    def check_struct(self, struct):
        names = [each.c_name for each in struct.fields]
        for name in names:
            if names.count(name) > 1:
                self.fail(f"{name} stands twice in {struct.type_name}")
        tags = [each.tag for each in struct.tagged_fields]
        if len(set(tags)) != len(tags):
            self.fail(f"a tag of {struct.type_name} is used twice")


def minimal_field_bytes(each, version, flexible):
    """The least that the field takes on the wire."""
    if each.flexible is not None:
        flexible = version in each.flexible
    if each.is_array:
        return 1 if flexible else 4
    if each.type in SCALAR_BYTES:
        return SCALAR_BYTES[each.type]
    if each.type == "string":
        return 1 if flexible else 2
    if each.type in ("bytes", "records"):
        return 1 if flexible else 4
    if version in each.nullable:
        return 1
    return minimal_struct_bytes(each.struct, version, flexible)


def minimal_struct_bytes(struct, version, flexible):
    """The least that the struct takes on the wire: what an element count is checked against."""
    total = 1 if flexible else 0
    for each in struct.plain_fields:
        if version in each.versions:
            total += minimal_field_bytes(each, version, flexible)
    return total


def is_of_fixed_size(each, version, flexible):
    """Whether its minimal size is its size, so that bytes counted before cannot run out in it."""
    if each.is_array or version in each.nullable:
        return False
    if each.struct is None:
        return each.type in SCALAR_BYTES
    return not flexible and all(is_of_fixed_size(inner, version, flexible)
                                for inner in each.struct.plain_fields if version in inner.versions)


def load(path):
    return Parser(path).parse()
