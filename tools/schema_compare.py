#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds our message schemas against the published definitions of the Kafka protocol.

    python3 tools/schema_compare.py OUR_FOLDER KAFKA_FOLDER

Version by version and field by field: name, order, type, nullability, tag, default.  Messages from type
1000 up and controller records are ours alone and left out.  Ends with 77 (skipped) when KAFKA_FOLDER, a
folder of <Name>Request.json and so on, is not there."""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "wire_generator"))

from schema import PRIMITIVES, load  # noqa: E402
from versions import Versions  # noqa: E402

SKIPPED = 77
OWN_TYPES_FROM = 1000
SUFFIXES = {"request": "Request", "response": "Response", "header": ""}


def normal_default(type_name, is_array, is_nullable_struct, value):
    """One spelling for each default."""
    if value in (None, "", '""'):
        value = None
    if value == "null":
        return "null"
    if is_array or is_nullable_struct or type_name not in PRIMITIVES:
        return "empty"
    if type_name in ("string", "bytes", "records"):
        return "" if value is None else value
    if type_name == "uuid":
        return "zero"
    if type_name == "bool":
        return "true" if value in ("true", True) else "false"
    if type_name == "float64":
        return float(value or 0)
    return int(str(value or 0), 0)


def kafka_rows(fields, commons, version, path=""):
    """Every field on the wire in that version: (path, type, nullable, tag, classic form, default)."""
    for field in fields:
        if version not in Versions.parse(field["versions"]):
            continue
        is_array = field["type"].startswith("[]")
        type_name = field["type"][2:] if is_array else field["type"]
        nullable = version in Versions.parse(field.get("nullableVersions", "none"))
        tag = field.get("tag") if version in Versions.parse(field.get("taggedVersions", "none")) else None
        classic = field.get("flexibleVersions") == "none"
        name = f"{path}/{field['name']}"
        struct_null = "nullableVersions" in field and type_name not in PRIMITIVES
        yield (name, ("[]" if is_array else "") + type_name, nullable, tag, classic,
               normal_default(type_name, is_array, struct_null, field.get("default")))
        if type_name not in PRIMITIVES:
            inner = field.get("fields") or commons[type_name]
            yield from kafka_rows(inner, commons, version, name)


def our_rows(struct, version, path=""):
    for field in struct.fields:
        if version not in field.versions:
            continue
        name = f"{path}/{field.name}"
        struct_null = not field.nullable.is_empty and field.type not in PRIMITIVES
        yield (name, ("[]" if field.is_array else "") + field.type, version in field.nullable, field.tag,
               field.flexible is not None,
               normal_default(field.type, field.is_array, struct_null, field.default))
        if field.struct is not None:
            yield from our_rows(field.struct, version, name)


def compare_section(message, section, kafka):
    """What differs, in words."""
    valid = Versions.parse(kafka["validVersions"])
    flexible = Versions.parse(kafka.get("flexibleVersions", "none"))
    commons = {each["name"]: each["fields"] for each in kafka.get("commonStructs", [])}
    if message.type is not None and message.type != kafka.get("apiKey"):
        yield f"type {message.type}, not {kafka.get('apiKey')}"
    for version in message.versions:
        if version not in valid:
            yield f"version {version} does not exist"
            continue
        if (version in message.flexible) != (version in flexible):
            yield f"version {version}: flexible in one only"
        ours = list(our_rows(section.root, version))
        theirs = list(kafka_rows(kafka["fields"], commons, version))
        for our_row, their_row in zip(ours, theirs):
            if our_row != their_row:
                yield f"version {version}: {our_row}, not {their_row}"
                break
        if len(ours) != len(theirs):
            yield f"version {version}: {len(ours)} fields, not {len(theirs)}"


def compare_message(path, folder):
    message = load(path)
    compared, faults = 0, []
    if message.type is not None and message.type >= OWN_TYPES_FROM:
        return 0, []
    for section in message.sections:
        if section.kind == "record":
            continue
        name = message.name + SUFFIXES[section.kind]
        source = folder / f"{name}.json"
        if not source.exists():
            faults.append(f"{path.name}: there is no {name} in {folder}")
            continue
        text = re.sub(r"^\s*//.*$", "", source.read_text(), flags=re.M)
        faults += [f"{path.name}: {name}: {fault}"
                   for fault in compare_section(message, section, json.loads(text))]
        compared += len(list(message.versions))
    return compared, faults


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ours, folder = Path(sys.argv[1]), Path(sys.argv[2])
    if not folder.is_dir():
        print(f"schema_compare: skipped, {folder} is not there")
        return SKIPPED
    compared, faults = 0, []
    for path in sorted(ours.glob("*.schema")):
        count, found = compare_message(path, folder)
        compared += count
        faults += found
    for fault in faults:
        print(fault)
    print(f"schema_compare: {compared} versions of requests and responses compared, {len(faults)} differ")
    return 1 if faults or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
