"""Converts maps and lists between Python values and the AMQP 0-10 encoding that QMF bodies have off AMQP 1.0.

Sources: AMQP 0-10 specification, 3.3 and 3.5; what qpid-python and qpid-cpp send (facts: qmf2 1.9).  Both put text into
opaque fields at times, so a reader accepts ``bytes`` for ``str`` everywhere; we send text as str16.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping, Sequence
from typing import Callable, TypeVar, Union

from .errors import WireError

Value = Union[None, bool, int, float, str, bytes, uuid.UUID, "Mapping[str, Value]", "Sequence[Value]"]
Map = Mapping[str, Value]

_Read = TypeVar("_Read")


class Int32(int):
    """A whole number that travels in 32 bits: an old fence_virtd reads an error's code from no other width (facts:
    qmf2 4.3).  What came in 32 bits is read as one, so that it keeps its width on its way through a bus.
    """


DEEPEST = 16
"""Maps and lists within each other; no QMF message has more than six."""
LARGEST = 16 * 1024 * 1024
"""Bytes of a whole body; a broker's own limit is lower."""

_SIZE = struct.Struct(">I")
_HEAD = struct.Struct(">II")
_INT32 = struct.Struct(">i")
_INT64, _UINT64, _DOUBLE = struct.Struct(">q"), struct.Struct(">Q"), struct.Struct(">d")

VOID, BIT, BOOLEAN, INT32, INT64, UINT64, DOUBLE, UUID, STR16 = 0xF0, 0xF1, 0x08, 0x21, 0x31, 0x32, 0x33, 0x48, 0x95
VBIN16, VBIN32, MAP, LIST, ARRAY = 0x90, 0xA0, 0xA8, 0xA9, 0xAA


# -- writing ----------


def encode_map(values: Map) -> bytes:
    """The body of an ``amqp/map`` message.  Raises WireError for a value that has no encoding."""
    return _packed([_key(name) + _typed(value, 1) for name, value in values.items()])


def encode_list(values: Sequence[Value]) -> bytes:
    """The body of an ``amqp/list`` message.  Raises WireError for a value that has no encoding."""
    return _packed([_typed(value, 1) for value in values])


def _packed(items: list[bytes]) -> bytes:
    body = b"".join(items)
    return _HEAD.pack(len(body) + 4, len(items)) + body


def _key(name: str) -> bytes:
    data = name.encode("utf-8", "surrogateescape")
    if len(data) > 255:
        raise WireError("key-length", f"a map's key of {len(data)} bytes is too long")
    return bytes((len(data),)) + data


def _typed(value: Value, depth: int) -> bytes:
    if depth > DEEPEST:
        raise WireError("depth", f"more than {DEEPEST} maps and lists within each other")
    if value is None:
        return bytes((VOID,))
    if isinstance(value, bool):
        return bytes((BOOLEAN, value))
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, uuid.UUID):
        return bytes((UUID,)) + value.bytes
    if isinstance(value, (str, bytes)):
        return _text(value)
    return _nested(value, depth)


def _number(value: int | float) -> bytes:
    if isinstance(value, float):
        return bytes((DOUBLE,)) + _DOUBLE.pack(value)
    if isinstance(value, Int32) and -(2**31) <= value < 2**31:
        return bytes((INT32,)) + _INT32.pack(value)
    if -(2**63) <= value < 2**63:
        return bytes((INT64,)) + _INT64.pack(value)
    if 0 <= value < 2**64:
        return bytes((UINT64,)) + _UINT64.pack(value)
    raise WireError("range", f"{value} does not fit into 64 bits")


def _text(value: str | bytes) -> bytes:
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if len(data) > 0xFFFF:
        return bytes((VBIN32,)) + _SIZE.pack(len(data)) + data
    return bytes((STR16 if isinstance(value, str) else VBIN16,)) + len(data).to_bytes(2, "big") + data


def _nested(value: Map | Sequence[Value], depth: int) -> bytes:
    if isinstance(value, Mapping):
        items = [_key(name) + _typed(item, depth + 1) for name, item in value.items()]
        return bytes((MAP,)) + _packed(items)
    return bytes((LIST,)) + _packed([_typed(item, depth + 1) for item in value])


# -- reading ----------


def decode_map(body: bytes) -> dict[str, Value]:
    """The values of an ``amqp/map`` body.  Raises WireError for anything that is not exactly one map."""
    reader = _whole(body)
    return {} if reader is None else _end(reader, _read_map(reader, 1))


def decode_list(body: bytes) -> list[Value]:
    """The values of an ``amqp/list`` body.  Raises WireError for anything that is not exactly one list."""
    reader = _whole(body)
    return [] if reader is None else _end(reader, _read_list(reader, 1))


class _Reader:
    """A view of bytes, with a place in it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise WireError("length", f"{length} bytes are announced and {self.left} are there")
        self.at += length
        return self._data[self.at - length : self.at]

    def number(self, length: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(length), "big", signed=signed)

    @property
    def left(self) -> int:
        return len(self._data) - self.at


def _whole(body: bytes) -> _Reader | None:
    if len(body) > LARGEST:
        raise WireError("length", f"a body of {len(body)} bytes is too long")
    # qpid-python writes an empty map with no count, and qpid-cpp no body at all.
    return None if body in (b"", b"\0\0\0\0") else _Reader(body)


def _end(reader: _Reader, value: _Read) -> _Read:
    if reader.left:
        raise WireError("trailing", f"{reader.left} bytes follow the end")
    return value


def _count(reader: _Reader) -> tuple[int, int]:
    """How many items follow, and where they must end."""
    size = reader.number(4)
    end = reader.at + size
    if size == 0:
        return 0, end
    if size < 4 or size > reader.left:
        raise WireError("length", f"a size of {size} where {reader.left} bytes are left")
    count = reader.number(4)
    if count > size:
        raise WireError("count", f"{count} items in {size} bytes")
    return count, end


def _read_map(reader: _Reader, depth: int) -> dict[str, Value]:
    count, end = _count(reader)
    values = {}
    for _ in range(count):
        name = reader.take(reader.number(1)).decode("utf-8", "surrogateescape")
        values[name] = _read(reader, depth)
    return _closed(reader, end, values)


def _read_list(reader: _Reader, depth: int) -> list[Value]:
    count, end = _count(reader)
    return _closed(reader, end, [_read(reader, depth) for _ in range(count)])


def _read_array(reader: _Reader, depth: int) -> list[Value]:
    size = reader.number(4)
    end = reader.at + size
    if size == 0:
        return []
    code, count = reader.number(1), reader.number(4)
    if count > size:
        raise WireError("count", f"{count} items in {size} bytes")
    return _closed(reader, end, [_read_as(reader, code, depth) for _ in range(count)])


def _closed(reader: _Reader, end: int, value: _Read) -> _Read:
    if reader.at != end:
        raise WireError("length", f"an end at byte {end} was announced and came at {reader.at}")
    return value


def _read(reader: _Reader, depth: int) -> Value:
    return _read_as(reader, reader.number(1), depth)


def _read_as(reader: _Reader, code: int, depth: int) -> Value:
    if code in _NESTED:
        if depth >= DEEPEST:
            raise WireError("depth", f"more than {DEEPEST} maps and lists within each other")
        return _NESTED[code](reader, depth + 1)
    if code in _SIMPLE:
        return _SIMPLE[code](reader)
    raise WireError("type", f"there is no type with the code 0x{code:02x}")


def _utf8(length: int) -> Callable[[_Reader], Value]:
    return lambda reader: reader.take(reader.number(length)).decode("utf-8", "surrogateescape")


def _latin(length: int) -> Callable[[_Reader], Value]:
    return lambda reader: reader.take(reader.number(length)).decode("latin-1")


def _utf16(length: int) -> Callable[[_Reader], Value]:
    return lambda reader: reader.take(reader.number(length)).decode("utf-16-be", "replace")


def _opaque(length: int) -> Callable[[_Reader], Value]:
    return lambda reader: reader.take(reader.number(length))


def _fixed(length: int) -> Callable[[_Reader], Value]:
    return lambda reader: reader.take(length)


def _whole_number(length: int, signed: bool) -> Callable[[_Reader], Value]:
    return lambda reader: reader.number(length, signed)


def _real(layout: str) -> Callable[[_Reader], Value]:
    packed = struct.Struct(layout)
    return lambda reader: float(packed.unpack(reader.take(packed.size))[0])


_SIMPLE: dict[int, Callable[[_Reader], Value]] = {
    VOID: lambda reader: None,
    BIT: lambda reader: True,
    BOOLEAN: lambda reader: reader.number(1) != 0,
    0x04: lambda reader: reader.take(1).decode("latin-1"),
    0x27: lambda reader: reader.take(4).decode("utf-32-be", "replace"),
    UUID: lambda reader: uuid.UUID(bytes=reader.take(16)),
    0x38: _whole_number(8, False),
    INT32: lambda reader: Int32(reader.number(4, signed=True)),
    0x23: _real(">f"),
    DOUBLE: _real(">d"),
    **{code: _whole_number(length, True) for code, length in ((0x01, 1), (0x11, 2), (INT64, 8))},
    **{code: _whole_number(length, False) for code, length in ((0x02, 1), (0x12, 2), (0x22, 4), (UINT64, 8))},
    **{code: _fixed(length) for code, length in ((0x00, 1), (0x10, 2), (0x20, 4), (0x30, 8), (0x40, 16))},
    **{code: _fixed(length) for code, length in ((0xC0, 5), (0xC8, 5), (0xD0, 9), (0xD8, 9))},
    **{code: _latin(length) for code, length in ((0x84, 1), (0x94, 2))},
    **{code: _utf8(length) for code, length in ((0x85, 1), (STR16, 2))},
    **{code: _utf16(length) for code, length in ((0x86, 1), (0x96, 2))},
    **{code: _opaque(length) for code, length in ((0x80, 1), (VBIN16, 2), (VBIN32, 4), (0xAB, 4))},
}
_NESTED: dict[int, Callable[[_Reader, int], Value]] = {MAP: _read_map, LIST: _read_list, ARRAY: _read_array}
