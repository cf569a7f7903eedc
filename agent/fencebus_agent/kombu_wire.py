"""Converts between messages of the Bus port and those of AMQP 0-9-1 (facts: qmf2 1.12, 6.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TypeGuard
from urllib.parse import unquote

from fencebus_agent import amqp1_section
from fencebus_agent.bus import Address, BusMessage, HeaderValue
from fencebus_schemas.errors import WireError


def properties(message: BusMessage, user: str) -> dict[str, str]:
    """The basic properties of a message that is sent by ``user``, for whom the broker vouches; empty: it shall not."""
    given = {
        "correlation_id": message.correlation_id,
        "app_id": message.app_id,
        "reply_to": "" if message.reply_to is None else str(message.reply_to),
        "expiration": "" if message.ttl is None else str(max(0, int(message.ttl * 1000))),
        "user_id": user,
    }
    return {name: value for name, value in given.items() if value}


def headers_of(message: BusMessage) -> dict[str, HeaderValue]:
    """The headers of a message, and what RabbitMQ makes of them for hosts on AMQP 1.0, as it hands on no others."""
    properties = amqp1_section.section(message)
    return {**dict(message.headers), **({amqp1_section.HEADER: properties} if properties else {})}


def message_of(to: Address, body: object, given: Mapping[str, object], headers: Mapping[object, object]) -> BusMessage:
    """A message as it came.  Every byte of it is hostile (S11): what has the wrong type counts as absent."""
    reply_to, known = _text(given, "reply_to"), _known(headers)
    return BusMessage(
        body if isinstance(body, bytes) else bytes(body) if isinstance(body, (bytearray, memoryview)) else b"",
        _text(given, "content_type"),
        tuple((name, value) for name, value in known.items() if name != amqp1_section.APP_ID),
        address_of(reply_to) if reply_to else None,
        _text(given, "correlation_id"),
        _text(given, "app_id") or _text(known, amqp1_section.APP_ID),
        _seconds(_text(given, "expiration")),
        _text(given, "user_id"),
        to,
    )


def address_of(reply_to: str) -> Address:
    """The address that a reply-to spells, also one that a client of AMQP 1.0 has written: RabbitMQ hands it on as it
    is, ``/exchanges/NAME/KEY`` (percent-encoded) since version 4, ``/exchange/NAME/KEY`` before, and ``/queues/NAME``.
    """
    if not reply_to.startswith("/"):
        return Address.parse(reply_to)
    kind, _, rest = reply_to[1:].partition("/")
    if kind in ("queues", "queue", "amq"):
        return Address("", unquote(rest.removeprefix("queue/")))
    if kind in ("exchanges", "exchange"):
        exchange, _, key = rest.partition("/")
        return Address(unquote(exchange), unquote(key))
    return Address.parse(reply_to)


def blamed(reason: str, sent: Sequence[Address]) -> int:
    """Which of the unconfirmed messages the broker means, the first one that it can be; it names the exchange, and the
    key where a host may publish to some keys only.  If it is none of them, the last one: all are in doubt then.
    """
    for at, to in enumerate(sent):
        if f"exchange '{to.exchange}'" in reason and (" topic '" not in reason or f" topic '{to.key}'" in reason):
            return at
    return len(sent) - 1


def is_of_qmf(exchange: str) -> bool:
    """True if we make it where it is missing: the two exchanges of a QMF domain."""
    first, _, rest = exchange.partition(".")
    domain, _, kind = rest.rpartition(".")
    return first == "qmf" and bool(domain) and kind in ("topic", "direct")


def _text(given: Mapping[str, object], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def _known(headers: Mapping[object, object]) -> dict[str, HeaderValue]:
    """The headers, and those that a host on AMQP 1.0 has sent."""
    from_afar: dict[str, HeaderValue] = {}
    if isinstance(given := headers.get(amqp1_section.HEADER), bytes):
        with contextlib.suppress(WireError):
            from_afar = amqp1_section.headers_of(given)
    named = {name: value for name, value in headers.items() if isinstance(name, str) and _is_header(value)}
    return from_afar | {name: each for name, each in named.items() if not name.startswith(amqp1_section.PREFIX)}


def _is_header(value: object) -> TypeGuard[HeaderValue]:
    return value is None or isinstance(value, (str, int, bool, bytes))


def _seconds(expiration: str) -> float | None:
    return int(expiration) / 1000 if expiration.isascii() and expiration.isdigit() else None
