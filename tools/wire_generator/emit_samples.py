# SPDX-License-Identifier: Apache-2.0
"""Writes what the tests need of every message: filling it with made-up values, comparing two of them,
and a table of all codecs (tests/unit/wire/samples.h)."""

from c_types import is_nullable_struct, member
from schema import SCALARS
from text import Text


class SampleEmitter:
    def __init__(self, message, out):
        self.message = message
        self.out = out

    def begin(self, signature):
        self.out.add()
        self.out.add(signature)
        self.out.lines.append("{")
        self.out.depth = 1

    def emit(self):
        for section in self.message.sections:
            for struct in section.structs + [section.root]:
                self.emit_fill(struct)
                self.emit_equal(struct)
            self.emit_doors(section.root)

    def emit_fill(self, struct):
        name = struct.c_name
        self.begin(f"static void {name}_fill(struct {name} *message, int16_t version, "
                   "struct sample_source *source)")
        self.out.add(f"{name}_init(message);")
        for field in struct.fields:
            condition = field.versions.condition(struct.versions)
            if condition != "true":
                self.out.add(f"if ({condition}) {{")
            self.fill_field(struct, field)
            if condition != "true":
                self.out.add("}")
        self.out.add("(void)version;")
        self.out.add("(void)source;")
        self.out.add("}")

    def fill_field(self, struct, field):
        out, target = self.out, f"message->{member(field)}"
        nullable = field.nullable.condition(field.versions.intersect(struct.versions))
        if field.is_array:
            count = f"message->{field.c_name}_count"
            out.add(f"{target} = sample_array(source, {nullable}, sizeof(*{target}), &{count});")
            out.add(f"for (int32_t i = 0; i < {count}; i++) {{")
            self.fill_value(field, f"{target}[i]", "false")
            out.add("}")
        elif is_nullable_struct(field):
            present = f"message->{field.c_name}_present"
            out.add(f"{present} = !({nullable}) || sample_bool(source);")
            out.add(f"if ({present}) {{")
            self.fill_value(field, target, nullable)
            out.add("}")
        else:
            self.fill_value(field, target, nullable)

    def fill_value(self, field, target, nullable):
        if field.struct is not None:
            self.out.add(f"{field.struct.c_name}_fill(&{target}, version, source);")
        elif field.type in SCALARS:
            self.out.add(f"{target} = sample_{field.type}(source);")
        else:
            self.out.add(f"{target} = sample_{field.type}(source, {nullable});")

    def emit_equal(self, struct):
        name = struct.c_name
        self.begin(f"static bool {name}_equal(const struct {name} *left, const struct {name} *right)")
        self.out.add("bool equal = true;")
        for field in struct.fields:
            self.equal_field(field)
        if not struct.fields:
            self.out.add("(void)left;")
            self.out.add("(void)right;")
        self.out.add("return equal;")
        self.out.add("}")

    def equal_field(self, field):
        out, name = self.out, member(field)
        if field.is_array:
            count = f"{field.c_name}_count"
            out.add(f"equal = equal && left->{count} == right->{count};")
            out.add(f"for (int32_t i = 0; equal && i < left->{count}; i++) {{")
            self.equal_value(field, f"left->{name}[i]", f"right->{name}[i]")
            out.add("}")
        elif is_nullable_struct(field):
            present = f"{field.c_name}_present"
            out.add(f"equal = equal && left->{present} == right->{present};")
            out.add(f"if (left->{present}) {{")
            self.equal_value(field, f"left->{name}", f"right->{name}")
            out.add("}")
        else:
            self.equal_value(field, f"left->{name}", f"right->{name}")

    def equal_value(self, field, left, right):
        if field.struct is not None:
            test = f"{field.struct.c_name}_equal(&{left}, &{right})"
        elif field.type == "uuid":
            test = f"uuid_equal(&{left}, &{right})"
        elif field.type in SCALARS and field.type != "float64":
            test = f"{left} == {right}"
        elif field.type == "float64":
            test = f"sample_float64_equal({left}, {right})"
        else:
            test = f"sample_bytes_equal({left}.data, {left}.length, {right}.data, {right}.length)"
        self.out.add(f"equal = equal && {test};")

    def emit_doors(self, root):
        """The same functions for a message whose type only the table knows."""
        name = root.c_name
        self.begin(f"static bool {name}_decode_any(void *message, int16_t version, "
                   "struct wire_cursor *cursor)")
        self.out.add(f"return {name}_decode(message, version, cursor);")
        self.out.add("}")
        self.begin(f"static void {name}_encode_any(const void *message, int16_t version, "
                   "struct wire_writer *writer)")
        self.out.add(f"{name}_encode(message, version, writer);")
        self.out.add("}")
        self.begin(f"static void {name}_fill_any(void *message, int16_t version, "
                   "struct sample_source *source)")
        self.out.add(f"{name}_fill(message, version, source);")
        self.out.add("}")
        self.begin(f"static bool {name}_equal_any(const void *left, const void *right)")
        self.out.add(f"return {name}_equal(left, right);")
        self.out.add("}")


def emit_table(messages, out):
    out.add()
    out.add("const struct sample samples[] = {")
    for message, _ in messages:
        for section in message.sections:
            name = section.root.c_name
            prefix = message.c_name.upper()
            kind = -1 if message.type is None else f"{prefix}_TYPE"
            out.add("{")
            out.add(f'"{name}",')
            out.add(f"{kind},")
            out.add(f"{prefix}_VERSION_MIN,")
            out.add(f"{prefix}_VERSION_MAX,")
            out.add(f"sizeof(struct {name}),")
            for door in ("decode", "encode", "fill", "equal"):
                out.add(f"{name}_{door}_any,")
            out.add("},")
    out.add("};")
    out.add()
    out.add("const size_t sample_count = sizeof(samples) / sizeof(samples[0]);")


def emit_samples(messages):
    out = Text()
    out.add("/* SPDX-License-Identifier: Apache-2.0")
    out.add(" *")
    out.add(" * Generated from src/wire/schemas by tools/wire_generator; not to be edited.")
    out.add(" */")
    out.add('#include "unit/wire/samples.h"')
    for message, _ in messages:
        out.add(f'#include "wire/{message.c_name}.h"')
    for message, _ in messages:
        SampleEmitter(message, out).emit()
    emit_table(messages, out)
    return str(out)
