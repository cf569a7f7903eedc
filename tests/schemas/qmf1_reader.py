"""Converts the answer of QMF version 1 back to maps, as the consoles that ask for it do."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

from fencebus_schemas.amqp010 import Value, decode_map

Item = dict[str, Value]


@dataclass(frozen=True)
class SchemaAnswer:
    """What a console makes of it."""

    sequence: int
    kind: int
    package: str
    name: str
    hash: uuid.UUID
    properties: list[Item]
    statistics: list[Item]
    methods: list[tuple[Item, list[Item]]]


class Reader:
    """A place in bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes:
        """So many bytes."""
        self.at += length
        assert self.at <= len(self.data)
        return self.data[self.at - length : self.at]

    def text(self) -> str:
        """A short text."""
        return self.take(self.take(1)[0]).decode()

    def item(self) -> Item:
        """One map."""
        size = self.take(4)
        return decode_map(size + self.take(struct.unpack(">I", size)[0]))

    def items(self, count: int) -> list[Item]:
        """So many maps."""
        return [self.item() for _ in range(count)]


def read_answer(data: bytes) -> SchemaAnswer:
    """All of it; fails where something is left."""
    reader = Reader(data)
    magic, sequence, kind = struct.unpack(">4sIB", reader.take(9))
    assert magic == b"AM2s"
    package, name, hash_bytes = reader.text(), reader.text(), reader.take(16)
    counts = struct.unpack(">HHH", reader.take(6)) if kind == 1 else (*struct.unpack(">H", reader.take(2)), 0, 0)
    properties, statistics = reader.items(counts[0]), reader.items(counts[1])
    methods = []
    for _ in range(counts[2]):
        method = reader.item()
        count = method["argCount"]
        assert isinstance(count, int)
        methods.append((method, reader.items(count)))
    assert reader.at == len(data)
    return SchemaAnswer(sequence, kind, package, name, uuid.UUID(bytes=hash_bytes), properties, statistics, methods)
