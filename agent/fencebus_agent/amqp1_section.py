"""Converts headers into the application properties of AMQP 1.0 as bytes, and back: hosts on both versions of AMQP meet
on one RabbitMQ.

Pure, and without proton, as a host on AMQP 0-9-1 need not have it.  RabbitMQ 3 hands the section on in a header of its
own, and takes it from there; ordinary headers it drops on the way to AMQP 1.0 (facts: qpidd 6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from fencebus_agent.bus import BusMessage, HeaderValue
from fencebus_schemas.errors import WireError

HEADER = "x-amqp-1.0-app-properties"
PREFIX = "x-amqp-1.0-"
"""What RabbitMQ's headers of this kind begin with."""
APP_ID = "x-amqp-0-10.app-id"
"""The property that stands for the app-id, which AMQP 1.0 has not (facts: qmf2 0.3)."""

_DESCRIPTOR = b"\x00\x53\x74"
_NULL, _TRUE, _FALSE, _BOOLEAN, _ULONG, _LONG = 0x40, 0x41, 0x42, 0x56, 0x80, 0x81
_BINARY8, _STRING8, _BINARY32, _STRING32, _MAP8, _MAP32 = 0xA0, 0xA1, 0xB0, 0xB1, 0xC1, 0xD1
_SIZE, _HEAD = struct.Struct(">I"), struct.Struct(">II")
_UNSIGNED, _SIGNED = (0x43, 0x44, 0x50, 0x52, 0x53, 0x60, 0x70, 0x80), (0x51, 0x54, 0x55, 0x61, 0x71, 0x81)
_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
"""Bytes of a value, by the first digit of its type."""


def section(message: BusMessage) -> bytes:
    """The application properties of a message; empty if it has none."""
    pairs = [*message.headers, *([(APP_ID, message.app_id)] if message.app_id else [])]
    if not pairs:
        return b""
    body = b"".join(_typed(name) + _typed(value) for name, value in pairs)
    return _DESCRIPTOR + bytes((_MAP32,)) + _HEAD.pack(len(body) + 4, 2 * len(pairs)) + body


def headers_of(data: bytes) -> dict[str, HeaderValue]:
    """The headers in a section, without those that have another type than a header has.  Raises WireError."""
    reader = _Reader(data)
    if reader.take(3) != _DESCRIPTOR:
        raise WireError("section", "these are no application properties")
    code = reader.number(1)
    if code not in (_MAP8, _MAP32):
        raise WireError("type", f"a map was expected, not 0x{code:02x}")
    width = 4 if code == _MAP32 else 1
    size = reader.number(width)
    if size != reader.left or size < width:
        raise WireError("length", f"a map of {size} bytes where {reader.left} are left")
    pairs = [(reader.value(), reader.value()) for _ in range(_pairs(reader.number(width), size))]
    if reader.left:
        raise WireError("trailing", f"{reader.left} bytes follow the end")
    return dict(_readable(pairs))


class _Unknown:
    """A value of a type that no header of ours has."""


_Any = HeaderValue | _Unknown


class _Reader:
    """A view of bytes, with a place in it."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise WireError("length", f"{length} bytes are announced and {self.left} are there")
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def value(self) -> _Any:
        code = self.number(1)
        if code >> 4 in _WIDTHS:
            return _fixed(code, self.take(_WIDTHS[code >> 4]))
        if code >> 4 < 0xA:
            raise WireError("type", f"a property of the type 0x{code:02x}")
        data = self.take(self.number(4 if code & 0x10 else 1))
        if code in (_BINARY8, _BINARY32):
            return data
        return data.decode("utf-8", "surrogateescape") if code in (_STRING8, _STRING32) else _Unknown()


def _fixed(code: int, data: bytes) -> _Any:
    if code in (_TRUE, _FALSE):
        return code == _TRUE
    if code == _BOOLEAN:
        return data != b"\0"
    if code in _UNSIGNED or code in _SIGNED:
        return int.from_bytes(data, "big", signed=code in _SIGNED)
    return None if code == _NULL else _Unknown()


def _pairs(count: int, size: int) -> int:
    if count % 2 or count > size:
        raise WireError("count", f"{count} names and values in {size} bytes")
    return count // 2


def _readable(pairs: Iterable[tuple[_Any, _Any]]) -> Iterable[tuple[str, HeaderValue]]:
    return ((name, value) for name, value in pairs if isinstance(name, str) and not isinstance(value, _Unknown))


def _typed(value: HeaderValue) -> bytes:
    if value is None:
        return bytes((_NULL,))
    if isinstance(value, bool):
        return bytes((_TRUE if value else _FALSE,))
    if isinstance(value, int):
        signed = value < 2**63
        return bytes((_LONG if signed else _ULONG,)) + value.to_bytes(8, "big", signed=signed)
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return bytes((_STRING32 if isinstance(value, str) else _BINARY32,)) + _SIZE.pack(len(data)) + data
