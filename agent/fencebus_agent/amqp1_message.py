"""Converts messages of the Bus port into those of AMQP 1.0 and back.

Typed bodies are Python's maps and lists on the way (facts: qmf2 1.9, qpidd 3c): text as str, never as bytes, which old
consoles do not read; an Int32 keeps its width.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from proton import Array, Message, ProtonException, int32, ulong

from fencebus_agent.amqp1_engine import HOSTILE
from fencebus_agent.amqp1_profile import Profile, reply_address
from fencebus_agent.amqp1_section import APP_ID, PREFIX
from fencebus_agent.bus import LIST, MAP, Address, BusMessage, HeaderValue
from fencebus_agent.flaws import SIGNED
from fencebus_schemas import amqp010
from fencebus_schemas.amqp010 import Int32, Value
from fencebus_schemas.errors import WireError

NO_TYPE = "None"
"""What proton says of a message without a content type."""


def encoded(to: Address, message: BusMessage, user: str, profile: Profile) -> bytes:
    """The sections of a message, sent by ``user`` if not empty.  Raises WireError for a body that is not what its
    content type says, and for text that is none.
    """
    made = Message(_body(message, profile.typed))
    made.inferred = isinstance(made.body, bytes)
    made.address, made.subject = profile.to(to), to.key
    made.content_type = message.content_type or None
    made.correlation_id = message.correlation_id or None
    made.reply_to = None if message.reply_to is None else str(message.reply_to)
    made.user_id = user.encode()
    if message.ttl is not None:
        made.ttl = max(0.001, message.ttl)  # none at all would be for ever
    made.properties = _properties(message)
    try:
        return bytes(made.encode())
    except (ProtonException, UnicodeError, OverflowError) as error:
        raise WireError("encoding", str(error)) from None


def decoded(data: bytes, binding: Address, profile: Profile) -> BusMessage:
    """A message that came for ``binding``.  Raises WireError for what is none; of what has another type than ours
    nothing is kept (S11).
    """
    try:
        made = Message()
        made.decode(data)
        return _read(made, binding, profile)
    except HOSTILE as error:
        raise WireError("encoding", str(error)) from None


def _read(made: Message, binding: Address, profile: Profile) -> BusMessage:
    content_type = _text(made.content_type)
    body, content_type = _bytes_of(made.body, "" if content_type == NO_TYPE else content_type)
    properties = made.properties if isinstance(made.properties, Mapping) else {}
    return BusMessage(
        body,
        content_type,
        tuple(_headers(properties)),
        reply_address(_text(made.reply_to)),
        _correlation(made.correlation_id),
        _text(properties.get(APP_ID)),
        made.ttl or None,
        _user(made.user_id) if profile.vouches else "",
        Address(binding.exchange, _text(made.subject) or binding.key),
    )


def _body(message: BusMessage, typed: bool) -> object:
    if typed and message.content_type == MAP:
        return _typed(amqp010.decode_map(message.body))
    if typed and message.content_type == LIST:
        return _typed(amqp010.decode_list(message.body))
    return message.body


def _typed(value: Value) -> object:
    """With the types that say which width a number has."""
    if isinstance(value, Mapping):
        return {name: _typed(item) for name, item in value.items()}
    if isinstance(value, (str, bytes, bool, float, uuid.UUID)) or value is None:
        return value
    if isinstance(value, Int32):
        return int32(value)
    if isinstance(value, int):
        return value if value < SIGNED else ulong(value)
    return [_typed(item) for item in value]


def _properties(message: BusMessage) -> dict[str, object] | None:
    properties: dict[str, object] = {
        name: ulong(value) if isinstance(value, int) and value >= SIGNED else value for name, value in message.headers
    }
    if message.app_id:
        properties[APP_ID] = message.app_id
    return properties or None


def _bytes_of(body: object, content_type: str) -> tuple[bytes, str]:
    """The body as it is off AMQP 1.0, and its content type."""
    if isinstance(body, Mapping):
        plain = _plain(body, 1)
        assert isinstance(plain, Mapping)
        return amqp010.encode_map(plain), MAP
    if isinstance(body, list):
        return amqp010.encode_list([_plain(item, 1) for item in body]), LIST
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), content_type
    return (body.encode("utf-8", "surrogateescape"), content_type) if isinstance(body, str) else (b"", content_type)


def _plain(value: object, depth: int) -> Value:
    if depth > amqp010.DEEPEST:
        raise WireError("depth", f"more than {amqp010.DEEPEST} maps and lists within each other")
    if isinstance(value, Mapping):
        return {_name(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, Array):
        value = value.elements
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return _simple(value)


def _simple(value: object) -> Value:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (bool, uuid.UUID)) or value is None:
        return value
    for kind, made in _KINDS:
        if isinstance(value, kind):
            return made(value)
    raise WireError("type", f"{type(value).__name__} is nothing that AMQP 0-10 has")


_KINDS: tuple[tuple[type, Callable[..., Value]], ...] = ((str, str), (int32, Int32), (int, int), (float, float))


def _name(name: object) -> str:
    if isinstance(name, (bytes, bytearray, memoryview)):
        return bytes(name).decode("utf-8", "surrogateescape")
    return str(name)


def _headers(properties: Mapping[object, object]) -> list[tuple[str, HeaderValue]]:
    found: list[tuple[str, HeaderValue]] = []
    for name, value in properties.items():
        if not isinstance(name, str) or name == APP_ID or name.startswith(PREFIX):
            continue
        if value is None or isinstance(value, (str, int, bool)):
            found.append((str(name), str(value) if isinstance(value, str) else value))
        elif isinstance(value, (bytes, bytearray, memoryview)):
            found.append((str(name), bytes(value)))
    return found


def _text(value: object) -> str:
    return str(value) if isinstance(value, str) else ""


def _correlation(value: object) -> str:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    return "" if value is None else str(value)


def _user(value: object) -> str:
    """Without its realm."""
    name = bytes(value) if isinstance(value, (bytes, memoryview)) else b""
    return name.decode("utf-8", "replace").partition("@")[0]
