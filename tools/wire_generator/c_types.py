# SPDX-License-Identifier: Apache-2.0
"""How schema types and defaults look in C."""

from schema import PRIMITIVES, SCALARS

C_TYPES = {"bool": "bool", "int8": "int8_t", "int16": "int16_t", "uint16": "uint16_t",
           "int32": "int32_t", "uint32": "uint32_t", "int64": "int64_t", "float64": "double",
           "uuid": "struct uuid", "string": "struct wire_string", "bytes": "struct wire_bytes",
           "records": "struct wire_records"}
C_KEYWORDS = {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
              "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
              "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch",
              "typedef", "union", "unsigned", "void", "volatile", "while", "bool", "true", "false"}


def member(field):
    """The C name of a field."""
    return field.c_name + "_" if field.c_name in C_KEYWORDS else field.c_name


def base_type(field):
    """The C type of the field, or of one of its elements."""
    return C_TYPES[field.type] if field.type in PRIMITIVES else f"struct {field.struct.c_name}"


def is_nullable_struct(field):
    return field.struct is not None and not field.is_array and not field.nullable.is_empty


def default_number(field):
    """The default of a number as C, or None when it is zero."""
    if field.default in (None, "false", "null", '""'):
        return None
    if field.default == "true":
        return "true"
    if field.type == "float64":
        return None if float(field.default) == 0 else repr(float(field.default))
    value = int(field.default, 0)
    if value == 0:
        return None
    limits = {2**31 - 1: "INT32_MAX", -2**31: "INT32_MIN", 2**63 - 1: "INT64_MAX", -2**63: "INT64_MIN"}
    if value in limits:
        return limits[value]
    return str(value) if abs(value) < 2**31 else f"INT64_C({value})"


def default_initializers(field):
    """What a designated initializer has to say about the field: nothing where zero bytes are right."""
    if field.is_array:
        return [f".{field.c_name}_count = -1"] if field.default == "null" else []
    if field.type in ("string", "bytes", "records"):
        return [f".{member(field)} = {{.length = -1}}"] if field.default == "null" else []
    if field.type in SCALARS and default_number(field) is not None:
        return [f".{member(field)} = {default_number(field)}"]
    if is_nullable_struct(field) and field.default != "null":
        return [f".{field.c_name}_present = true"]
    return []


def differs_from_default(field, access):
    """The C condition under which a tagged field has to be written."""
    name = f"{access}{member(field)}"
    if field.is_array:
        return f"{access}{field.c_name}_count {'>= 0' if field.default == 'null' else '> 0'}"
    if field.type in ("string", "bytes", "records"):
        return f"{name}.length {'>= 0' if field.default == 'null' else '> 0'}"
    if field.type == "uuid":
        return f"!uuid_is_zero(&{name})"
    if is_nullable_struct(field):
        present = f"{access}{field.c_name}_present"
        return present if field.default == "null" else "true"
    if field.struct is not None:
        return f"!{field.struct.c_name}_is_default(&{name})"
    number = default_number(field)
    if field.type == "bool":
        return f"!{name}" if number == "true" else name
    return f"{name} != {number if number is not None else 0}"


def can_be_tested_for_default(field):
    return not (is_nullable_struct(field) and field.default != "null")
