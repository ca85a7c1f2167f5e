"""Protobuf messages from a table, without generated code.

They live in a descriptor pool of their own: protobuf's default pool takes each name once per
process, and a client of the same protocol (such as Triton's) puts its own messages there.
"""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from trtasync.server.grpc.views import Message
from trtasync.server.protocol.refusals import Refusal

Enums = Mapping[str, tuple[str, ...]]

_FIELD = re.compile(r"(?P<kind>\w+)(?P<many>\*|\{\})? (?P<name>\w+) (?P<number>\d+)")
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}
CHOICE = "choice"
"""The name of the `oneof` of a message whose fields exclude each other."""


class Messages:
    """Messages of one package."""

    def __init__(self, package: str, fields: Mapping[str, str], enums: Enums):
        """Make their classes.

        Args:
            package: of all of them.
            fields: per message its fields, as `kind name number`, separated by commas, or by bars
                if only one of them can be set. `kind*` is a list, `kind{}` a map from strings. A
                kind is a scalar of protobuf, or the name of a message or an enum.
            enums: per enum the names of its values, from 0 on.
        """
        self.package: str = package
        file = FileDescriptorProto(
            name=f"trtasync/{package}.proto", package=package, syntax="proto3"
        )
        for name, values in enums.items():
            enum = file.enum_type.add(name=name)
            for number, value in enumerate(values):
                enum.value.add(name=value, number=number)
        for name, text in fields.items():
            message = file.message_type.add(name=name)
            if "|" in text:
                message.oneof_decl.add(name=CHOICE)
            for field in filter(None, re.split(r"\s*[,|]\s*", text)):
                _add_field(message, field, package, enums)
        pool = DescriptorPool()
        pool.Add(file)
        found = pool.FindFileByName(file.name).message_types_by_name
        self._classes: dict[str, Any] = {name: GetMessageClass(found[name]) for name in fields}

    def make(self, name: str, /, **fields: object) -> Message:
        """Make a message; those within it may be given as dicts."""
        message: Message = self._classes[name](**fields)
        return message

    def parse(self, name: str, content: bytes) -> Any:
        """Parse a message; see `views` for its fields.

        Raises:
            Refusal: the bytes are no such message.
        """
        try:
            return self._classes[name].FromString(content)
        except DecodeError:
            raise Refusal(f"the bytes of the request are no {name}.") from None


def _add_field(message: DescriptorProto, text: str, package: str, enums: Enums) -> None:
    match = _FIELD.fullmatch(text)
    assert match is not None, text
    field = message.field.add(name=match["name"], number=int(match["number"]))
    field.label = field.LABEL_REPEATED if match["many"] else field.LABEL_OPTIONAL
    if match["many"] == "{}":
        entry = message.nested_type.add(name=f"{_camel_case(match['name'])}Entry")
        entry.options.map_entry = True
        _add_field(entry, "string key 1", package, enums)
        _add_field(entry, f"{match['kind']} value 2", package, enums)
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{package}.{message.name}.{entry.name}"
    elif match["kind"] in _SCALARS:
        field.type = _SCALARS[match["kind"]]
    else:
        field.type = field.TYPE_ENUM if match["kind"] in enums else field.TYPE_MESSAGE
        field.type_name = f".{package}.{match['kind']}"
    if message.oneof_decl:
        field.oneof_index = 0


def _camel_case(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
