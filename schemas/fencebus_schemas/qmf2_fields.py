"""Decides what a field of a QMF map may hold: each function returns a plain value, or raises WireError.

Peers in C++ put text into opaque fields (facts: qmf2 0.5), so bytes are text wherever text is expected.

Codes of the WireError: ``missing``, ``type``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.errors import WireError


def as_text(value: object, name: str) -> str:
    """The text that a value is, be it opaque."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return value
    raise WireError("type", f"{name} is no text")


def as_map(value: Value, name: str) -> Map:
    """The map that a value is."""
    if isinstance(value, Mapping):
        return value
    raise WireError("type", f"{name} is no map")


def as_list(value: Value, name: str) -> Sequence[Value]:
    """The list that a value is."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value
    raise WireError("type", f"{name} is no list")


def as_whole(value: Value, name: str) -> int:
    """The whole number that a value is, of whatever width."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise WireError("type", f"{name} is no whole number")


def take(values: Map, name: str) -> Value:
    """A field that has to be there."""
    if name not in values:
        raise WireError("missing", f"there is no {name}")
    return values[name]


def take_text(values: Map, name: str) -> str:
    """A text; empty if it is not there."""
    return as_text(values.get(name, ""), name)


def take_whole(values: Map, name: str, default: int = 0) -> int:
    """A whole number."""
    return as_whole(values.get(name, default), name)


def take_map(values: Map, name: str) -> Map:
    """A map; empty if it is not there, or void."""
    found = values.get(name)
    return {} if found is None else as_map(found, name)


def take_list(values: Map, name: str) -> Sequence[Value]:
    """A list; empty if it is not there, or void."""
    found = values.get(name)
    return () if found is None else as_list(found, name)


def take_uuid(values: Map, name: str) -> UUID | None:
    """A UUID in a type of its own; ``None`` if it is not there."""
    found = values.get(name)
    if found is None or isinstance(found, UUID):
        return found
    raise WireError("type", f"{name} is no UUID")


def plain(value: Value) -> Value:
    """The value with text for opaque bytes, at every depth."""
    if isinstance(value, bytes):
        return as_text(value, "")
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def plain_map(values: Map) -> dict[str, Value]:
    """The map with text for opaque bytes, at every depth."""
    return {name: plain(item) for name, item in values.items()}
