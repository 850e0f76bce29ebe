# SPDX-License-Identifier: Apache-2.0
"""Writes the source of a message: defaults, decoders and encoders of its structs."""

import re

from c_types import (base_type, can_be_tested_for_default, default_initializers, differs_from_default,
                     is_nullable_struct, member)
from emit_header import NOTICE
from schema import (PRIMITIVES, SCALARS, is_of_fixed_size, minimal_field_bytes,
                    minimal_struct_bytes)
from text import Text


class SourceEmitter:
    def __init__(self, message, file):
        self.message = message
        self.file = file
        self.out = Text()

    def emit(self):
        out = self.out
        out.add("/* SPDX-License-Identifier: Apache-2.0")
        out.add(" *")
        out.add(f" * {self.message.c_name}.c -- codec of {self.message.name}.")
        out.add(f" * {NOTICE.format(file=self.file)}")
        out.add(" */")
        out.add(f'#include "wire/{self.message.c_name}.h"')
        out.add()
        out.add('#include "base/assert.h"')
        for section in self.message.sections:
            for struct in section.structs + [section.root]:
                self.emit_init(struct)
            for struct in self.structs_tested_for_default(section):
                self.emit_is_default(struct)
            for struct in section.structs + [section.root]:
                is_root = struct is section.root
                if struct.tagged_fields:
                    self.emit_decode_tagged(struct)
                self.emit_decode(struct, is_root)
                if struct.tagged_fields:
                    self.emit_encode_tagged(struct)
                self.emit_encode(struct, is_root)
        return str(out)

    # What the version decides, as C expressions.

    def flexible(self, struct, field=None):
        if field is not None and field.flexible is not None:
            return field.flexible.condition(struct.versions)
        condition = self.message.flexible.condition(struct.versions)
        return condition if condition in ("true", "false") else "flexible"

    def needs_flexible(self, struct):
        """Whether a function over the plain fields of struct needs the local variable."""
        if self.message.flexible.condition(struct.versions) in ("true", "false"):
            return False
        return True  # the tagged fields at the end depend on it

    def context(self, struct, field):
        return field.versions.intersect(struct.versions)

    def nullable(self, struct, field):
        return field.nullable.condition(self.context(struct, field))

    def minimal_bytes(self, struct, field):
        """The least size of an element: one number, or an expression over the version."""
        sizes = {}
        for version in self.context(struct, field):
            flexible = version in self.message.flexible
            if field.struct is not None:
                size = minimal_struct_bytes(field.struct, version, flexible)
            else:
                element = type(field)(field.name, field.type, False, field.versions)
                size = minimal_field_bytes(element, version, flexible)
            if size == 0:
                raise ValueError(f"{field.name}: elements that take no bytes cannot be bounded")
            sizes[version] = size
        versions = sorted(sizes)
        expression = str(sizes[versions[0]])
        for before, version in zip(versions, versions[1:]):
            if sizes[version] != sizes[before]:
                expression = f"version >= {version} ? {sizes[version]} : {expression}"
        return expression

    def may_run_out(self, struct, field):
        """Whether an element can end behind the message though their count was checked."""
        element = type(field)(field.name, field.type, False, field.versions)
        element.struct = field.struct
        return not all(is_of_fixed_size(element, version, version in self.message.flexible)
                       for version in self.context(struct, field))

    # Functions.

    def begin(self, signature):
        self.out.add()
        self.out.add(signature)
        self.out.lines.append("{")
        self.out.depth = 1

    def end(self):
        self.out.add("}")

    def emit_init(self, struct):
        self.begin(f"void {struct.c_name}_init(struct {struct.c_name} *message)")
        initial = [each for field in struct.fields for each in default_initializers(field)]
        if initial:
            self.out.add(f"*message = (struct {struct.c_name}){{")
            for each in initial:
                self.out.add(f"{each},")
            self.out.add("};")
        else:
            self.out.add(f"*message = (struct {struct.c_name}){{0}};")
        for field in struct.fields:
            if field.struct is not None and not field.is_array:
                self.out.add(f"{field.struct.c_name}_init(&message->{member(field)});")
        self.end()

    def structs_tested_for_default(self, section):
        """The structs that are tagged fields, and those inside of them, inner ones first."""
        wanted = []

        def visit(struct):
            for field in struct.fields:
                if field.struct is not None and not field.is_array and not is_nullable_struct(field):
                    visit(field.struct)
            if struct not in wanted:
                wanted.append(struct)

        for struct in section.structs + [section.root]:
            for field in struct.tagged_fields:
                if field.struct is not None and not field.is_array and not is_nullable_struct(field):
                    visit(field.struct)
        return wanted

    def emit_is_default(self, struct):
        self.begin(f"static bool {struct.c_name}_is_default(const struct {struct.c_name} *message)")
        tests = []
        for field in struct.fields:
            if not can_be_tested_for_default(field):
                raise ValueError(f"{field.name}: cannot stand in a tagged struct")
            tests.append(differs_from_default(field, "message->"))
        self.out.add(f"return !({' || '.join(tests)});")
        self.end()

    def emit_decode(self, struct, is_root):
        name = struct.c_name
        kind = "bool" if is_root else "static void"
        self.begin(f"{kind} {name}_decode(struct {name} *message, int16_t version, "
                   "struct wire_cursor *cursor)")
        self.out.add(f"{name}_init(message);")
        if is_root:
            prefix = self.message.c_name.upper()
            least = f"version < {prefix}_VERSION_MIN || "
            self.out.add(f"if ({least}version > {prefix}_VERSION_MAX) {{")
            self.out.add('wire_fail(cursor, "a version that is not known");')
            self.out.add("return false;")
            self.out.add("}")
        self.emit_flexible(struct)
        self.each_plain_field(struct, self.decode_field)
        self.emit_struct_end(struct, f"{name}_decode_tagged_fields(message, version, cursor);",
                             "wire_skip_tagged_fields(cursor);")
        if is_root:
            self.out.add("return cursor->error == NULL;")
        elif not self.uses_version(struct):
            self.out.add("(void)version;")
        self.end()

    def emit_flexible(self, struct):
        if self.needs_flexible(struct):
            condition = self.message.flexible.condition(struct.versions)
            self.out.add(f"const bool flexible = {condition};")

    def emit_struct_end(self, struct, with_tags, without_tags):
        flexible = self.flexible(struct)
        if flexible == "false":
            return
        call = with_tags if struct.tagged_fields else without_tags
        if flexible == "true":
            self.out.add(call)
        else:
            self.out.add("if (flexible) {")
            self.out.add(call)
            self.out.add("}")

    def uses_version(self, struct):
        """Whether the body that was just written mentions version."""
        body = []
        for line in reversed(self.out.lines):
            if line == "{":
                break
            body.append(line)
        return any(re.search(r"(?<![\w>.])version\b", line) for line in body)

    def each_plain_field(self, struct, emit):
        """Lets emit write the code for every field, neighbours of the same versions under one if."""
        open_condition = "true"
        for field in struct.plain_fields:
            condition = field.versions.condition(struct.versions)
            if condition != open_condition:
                if open_condition != "true":
                    self.out.add("}")
                if condition != "true":
                    self.out.add(f"if ({condition}) {{")
                open_condition = condition
            emit(struct, field)
        if open_condition != "true":
            self.out.add("}")

    def decode_field(self, struct, field):
        out, target = self.out, f"message->{member(field)}"
        if field.is_array:
            count = f"message->{field.c_name}_count"
            minimal = self.minimal_bytes(struct, field)
            if not minimal.isdigit():
                out.add(f"const size_t {field.c_name}_bytes_min = {minimal};")
                minimal = f"{field.c_name}_bytes_min"
            out.add(f"{target} = wire_read_array(cursor, {self.flexible(struct, field)}, "
                    f"{self.nullable(struct, field)}, {minimal}, "
                    f"sizeof(*{target}), &{count});")
            going_on = " && cursor->error == NULL" if self.may_run_out(struct, field) else ""
            out.add(f"for (int32_t i = 0; i < {count}{going_on}; i++) {{")
            self.decode_value(struct, field, f"{target}[i]", "false")
            out.add("}")
        elif is_nullable_struct(field):
            nullable = self.nullable(struct, field)
            present = f"message->{field.c_name}_present"
            read = "wire_read_present(cursor)"
            out.add(f"{present} = {read if nullable == 'true' else f'!({nullable}) || {read}'};")
            out.add(f"if ({present}) {{")
            self.decode_value(struct, field, target, nullable)
            out.add("}")
        else:
            self.decode_value(struct, field, target, self.nullable(struct, field))

    def decode_value(self, struct, field, target, nullable):
        if field.struct is not None:
            self.out.add(f"{field.struct.c_name}_decode(&{target}, version, cursor);")
        elif field.type in SCALARS:
            self.out.add(f"{target} = wire_read_{field.type}(cursor);")
        else:
            self.out.add(f"{target} = wire_read_{field.type}(cursor, {self.flexible(struct, field)}, "
                         f"{nullable});")

    def emit_decode_tagged(self, struct):
        name = struct.c_name
        self.begin(f"static void {name}_decode_tagged_fields(struct {name} *message, "
                   "int16_t version, struct wire_cursor *cursor)")
        out = self.out
        out.add("struct wire_tags tags;")
        out.add("wire_tags_open(&tags, cursor);")
        out.add("while (wire_tags_next(&tags, cursor)) {")
        inner = self.flexible_only(struct)
        for field in struct.tagged_fields:
            tests = [f"tags.tag == {field.tag}"]
            condition = field.versions.condition(inner.versions)
            if condition != "true":
                tests.append(condition)
            keyword = "if" if field is struct.tagged_fields[0] else "} else if"
            out.add(f"{keyword} ({' && '.join(tests)}) {{")
            self.decode_field(inner, field)
        out.add("} else {")
        out.add("wire_tags_skip(cursor);")
        out.add("}")
        out.add("}")
        if not self.uses_version(struct):
            out.add("(void)version;")
        self.end()

    def flexible_only(self, struct):
        """The struct as its tagged fields see it: only in flexible versions."""
        versions = struct.versions.intersect(self.message.flexible)
        return type(struct)(struct.type_name, struct.c_name, versions, struct.fields)

    def emit_encode(self, struct, is_root):
        name = struct.c_name
        kind = "void" if is_root else "static void"
        self.begin(f"{kind} {name}_encode(const struct {name} *message, int16_t version, "
                   "struct wire_writer *writer)")
        if is_root:
            prefix = self.message.c_name.upper()
            self.out.add(f"require(version >= {prefix}_VERSION_MIN && version <= {prefix}_VERSION_MAX);")
        self.emit_flexible(struct)
        self.each_plain_field(struct, self.encode_field)
        self.emit_struct_end(struct, f"{name}_encode_tagged_fields(message, version, writer);",
                             "wire_write_unsigned_varint(writer, 0); /* no tagged fields */")
        if not self.uses_version(struct):
            self.out.add("(void)version;")
        self.emit_unused_message(struct)
        self.end()

    def emit_unused_message(self, struct):
        if not struct.fields:
            self.out.add("(void)message;")
            if self.flexible(struct) == "false":
                self.out.add("(void)writer;")

    def encode_field(self, struct, field):
        out, source = self.out, f"message->{member(field)}"
        if field.is_array:
            count = f"message->{field.c_name}_count"
            out.add(f"wire_write_count(writer, {self.flexible(struct, field)}, "
                    f"{self.nullable(struct, field)}, {count});")
            out.add(f"for (int32_t i = 0; i < {count}; i++) {{")
            self.encode_value(struct, field, f"{source}[i]", "false")
            out.add("}")
        elif is_nullable_struct(field):
            present = f"message->{field.c_name}_present"
            nullable = self.nullable(struct, field)
            if nullable == "true":
                out.add(f"wire_write_present(writer, {present});")
            elif nullable != "false":
                out.add(f"if ({nullable}) {{")
                out.add(f"wire_write_present(writer, {present});")
                out.add("}")
            test = present if nullable == "true" else f"{present} || !({nullable})"
            out.add(f"if ({test}) {{")
            self.encode_value(struct, field, source, nullable)
            out.add("}")
        else:
            self.encode_value(struct, field, source, self.nullable(struct, field))

    def encode_value(self, struct, field, source, nullable):
        if field.struct is not None:
            self.out.add(f"{field.struct.c_name}_encode(&{source}, version, writer);")
        elif field.type in SCALARS:
            address = "&" if field.type == "uuid" else ""
            self.out.add(f"wire_write_{field.type}(writer, {address}{source});")
        else:
            address = "&" if field.type == "records" else ""
            self.out.add(f"wire_write_{field.type}(writer, {self.flexible(struct, field)}, {nullable}, "
                         f"{address}{source});")

    def emit_encode_tagged(self, struct):
        name = struct.c_name
        self.begin(f"static void {name}_encode_tagged_fields(const struct {name} *message, "
                   "int16_t version, struct wire_writer *writer)")
        out = self.out
        inner = self.flexible_only(struct)
        flags = []
        for field in struct.tagged_fields:
            tests = [differs_from_default(field, "message->")]
            condition = field.versions.condition(inner.versions)
            if condition != "true":
                tests.insert(0, condition)
            flags.append(f"has_{field.c_name}")
            out.add(f"const bool has_{field.c_name} = {' && '.join(tests)};")
        total = f"({' + '.join(flags)})" if len(flags) > 1 else flags[0]
        out.add(f"wire_write_unsigned_varint(writer, (uint32_t){total});")
        for flag, field in zip(flags, struct.tagged_fields):
            out.add(f"if ({flag}) {{")
            out.add(f"const size_t mark = wire_write_tag_begin(writer, {field.tag});")
            self.encode_field(inner, field)
            out.add("wire_write_tag_end(writer, mark);")
            out.add("}")
        if not self.uses_version(struct):
            out.add("(void)version;")
        self.end()


def emit_source(message, file):
    return SourceEmitter(message, file).emit()
