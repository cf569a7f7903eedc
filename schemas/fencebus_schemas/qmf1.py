"""Converts the one exchange of QMF version 1 that qpid-tool and its like need: a class's schema (facts: qmf2 2.5).

Without the answer they list an agent, and none of its objects.  Code of the WireError: ``length``, ``magic``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from fencebus_schemas.amqp010 import Value, encode_map
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_data import Kind, SchemaId
from fencebus_schemas.qmf2_schema import ClassSchema, Field, Method

CONTENT_TYPE = "x-application/qmf"
REQUEST_MAGIC = b"AM2S"
_ANSWER_MAGIC = b"AM2s"
_SEQUENCE = struct.Struct(">I")
_ANSWER = struct.Struct(">4sIB")
_COUNTS = struct.Struct(">HHH")
_COUNT = struct.Struct(">H")
_HASH_LENGTH = 16


@dataclass(frozen=True)
class SchemaRequest:
    """Ask for the schema of a class, by its name and hash."""

    sequence: int
    schema: SchemaId

    def pack(self) -> bytes:
        """The body."""
        return REQUEST_MAGIC + _SEQUENCE.pack(self.sequence) + _identity(self.schema)

    @classmethod
    def unpack(cls, body: bytes) -> SchemaRequest:
        """Raises WireError."""
        if body[:4] != REQUEST_MAGIC:
            raise WireError("magic", "no request for a schema")
        package, after_package = _short_text(body, 8)
        name, after_name = _short_text(body, after_package)
        if len(body) != after_name + _HASH_LENGTH:
            raise WireError("length", f"a request for a schema of {len(body)} bytes")
        sequence: int = _SEQUENCE.unpack_from(body, 4)[0]
        return cls(sequence, SchemaId(package, name, hash=UUID(bytes=body[after_name:])))


def pack_schema(sequence: int, described: ClassSchema) -> bytes:
    """The body of the answer; ``described`` has its hash."""
    is_event = described.id.kind is Kind.EVENT
    head = _ANSWER.pack(_ANSWER_MAGIC, sequence, 2 if is_event else 1) + _identity(described.id)
    if is_event:
        return head + _COUNT.pack(len(described.properties)) + _packed(map(_plain_field, described.properties))
    statistics = [one for one in described.properties if one.statistic]
    properties = [one for one in described.properties if not one.statistic]
    counts = _COUNTS.pack(len(properties), len(statistics), len(described.methods))
    fields = _packed([*map(_plain_property, properties), *map(_plain_field, statistics)])
    return head + counts + fields + b"".join(map(_pack_method, described.methods))


def _pack_method(method: Method) -> bytes:
    head: dict[str, Value] = {"name": method.name, "argCount": len(method.arguments), "desc": method.desc}
    return _packed([head, *({**_plain_field(one), "dir": one.direction} for one in method.arguments)])


def _plain_property(one: Field) -> dict[str, Value]:
    flags: dict[str, Value] = {"access": one.access.value, "index": int(one.index), "optional": int(one.optional)}
    return {**_plain_field(one), **flags}


def _plain_field(one: Field) -> dict[str, Value]:
    texts: dict[str, Value] = {"unit": one.unit, "desc": one.desc}
    return {"name": one.name, "type": one.type.code, **{name: text for name, text in texts.items() if text}}


def _packed(maps: Iterable[dict[str, Value]]) -> bytes:
    return b"".join(map(encode_map, maps))


def _identity(schema: SchemaId) -> bytes:
    hash_bytes = schema.hash.bytes if schema.hash else bytes(_HASH_LENGTH)
    return _pack_text(schema.package) + _pack_text(schema.class_name) + hash_bytes


def _pack_text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > 255:
        raise WireError("length", f"a name of {len(data)} bytes")
    return bytes((len(data),)) + data


def _short_text(body: bytes, at: int) -> tuple[str, int]:
    """The text that begins at a place, and where it ends."""
    if at >= len(body) or at + 1 + body[at] > len(body):
        raise WireError("length", f"a request for a schema of {len(body)} bytes")
    end = at + 1 + body[at]
    return body[at + 1 : end].decode("utf-8", "surrogateescape"), end
