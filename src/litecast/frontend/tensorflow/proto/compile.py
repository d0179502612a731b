"""A compiler for the subset of proto3 that `schema.py` uses: flat messages, enums, oneofs, maps, no imports.

It builds a descriptor in a few milliseconds and knows nothing of the messages; protobuf checks the result.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

if TYPE_CHECKING:
    Type: TypeAlias = FieldDescriptorProto.Type.ValueType
    Label: TypeAlias = FieldDescriptorProto.Label.ValueType

__all__ = ["compile_schema"]

_SCALARS = {
    name: FieldDescriptorProto.Type.Value(f"TYPE_{name.upper()}")
    for name in (
        "bool",
        "bytes",
        "double",
        "fixed32",
        "float",
        "int32",
        "int64",
        "sint64",
        "string",
        "uint32",
        "uint64",
    )
}
_TYPES = {
    "message": FieldDescriptorProto.Type.Value("TYPE_MESSAGE"),
    "enum": FieldDescriptorProto.Type.Value("TYPE_ENUM"),
}
_OPTIONAL = FieldDescriptorProto.Label.Value("LABEL_OPTIONAL")
_REPEATED = FieldDescriptorProto.Label.Value("LABEL_REPEATED")
_DECLARATION = re.compile(r"(message|enum)\s+(\w+)\s*\{")
_STATEMENT = re.compile(
    r"(?P<oneof>oneof)\s+(?P<group>\w+)\s*\{"
    r"|(?P<repeated>repeated\s+)?(?:map<(?P<key>\w+),\s*(?P<item>\w+)>|(?P<type>\w+))\s+(?P<name>\w+)\s*=\s*(?P<number>\d+)\s*;"
    r"|(?P<end>\})"
)
_ENUM_VALUE = re.compile(r"(\w+)\s*=\s*(\d+)\s*;|\}")


def compile_schema(text: str, filename: str, package: str) -> FileDescriptorProto:
    """Compile proto3 `text` into a file descriptor; field types may be used before they are declared."""
    file = FileDescriptorProto(name=filename, package=package, syntax="proto3")
    kinds = {name: _TYPES[keyword] for keyword, name in _DECLARATION.findall(text)}
    position = 0
    while declaration := _DECLARATION.search(text, position):
        keyword, name = declaration.groups()
        if keyword == "enum":
            position = _enum(file, name, text, declaration.end())
        else:
            scope = _Message(file.message_type.add(name=name), f".{package}.", kinds)
            position = scope.parse(text, declaration.end())
    return file


def _enum(file: FileDescriptorProto, name: str, text: str, position: int) -> int:
    enum = file.enum_type.add(name=name)
    for value in _ENUM_VALUE.finditer(text, position):
        if value.group() == "}":
            return value.end()
        enum.value.add(name=value[1], number=int(value[2]))
    raise ValueError(f"enum {name} is not closed")


class _Message:
    def __init__(self, proto: DescriptorProto, scope: str, kinds: dict[str, Type]) -> None:
        self.proto = proto
        self.scope = scope
        self.kinds = kinds

    def parse(self, text: str, position: int) -> int:
        """Read the statements from `position` to the closing brace; return where it ends."""
        oneof: int | None = None
        for match in _STATEMENT.finditer(text, position):
            if match["oneof"]:
                oneof = len(self.proto.oneof_decl)
                self.proto.oneof_decl.add(name=match["group"])
            elif match["end"]:
                if oneof is None:
                    return match.end()
                oneof = None
            elif match["key"]:
                self.map(match["name"], int(match["number"]), match["key"], match["item"])
            else:
                label = _REPEATED if match["repeated"] else _OPTIONAL
                field = self.field(self.proto, match["name"], int(match["number"]), match["type"], label)
                if oneof is not None:
                    field.oneof_index = oneof
        raise ValueError(f"message {self.proto.name} is not closed")

    def field(
        self, proto: DescriptorProto, name: str, number: int, kind: str, label: Label
    ) -> FieldDescriptorProto:
        field = proto.field.add(name=name, number=number, label=label)
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type, field.type_name = self.kinds[kind], self.scope + kind
        return field

    def map(self, name: str, number: int, key: str, item: str) -> None:
        """A map is on the wire a repeated message of key = 1 and value = 2."""
        title = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = self.proto.nested_type.add(name=title)
        entry.options.map_entry = True
        self.field(entry, "key", 1, key, _OPTIONAL)
        self.field(entry, "value", 2, item, _OPTIONAL)
        self.proto.field.add(
            name=name,
            number=number,
            label=_REPEATED,
            type=_TYPES["message"],
            type_name=f"{self.scope}{self.proto.name}.{title}",
        )
