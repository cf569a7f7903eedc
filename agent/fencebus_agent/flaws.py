"""Decides whether a bus can carry a message: what it cannot is refused before it is sent."""

from __future__ import annotations

from collections.abc import Iterable

from fencebus_agent.bus import Address, BusMessage, BusRefused

KEY_BYTES = 255
"""Of a routing key and of each property that is text: AMQP 0-9-1 and 0-10 write a short string's length in a byte."""
SIGNED, UNSIGNED = 2**63, 2**64
"""The first whole number that is too large for 64 bits."""


def refuse_flawed(bus: str, to: Address, message: BusMessage, users: Iterable[str], beyond: int) -> None:
    """Raises BusRefused in the name of ``bus`` for what has a flaw, or speaks for anybody but all of ``users``."""
    if message.user_id and any(message.user_id != user for user in users):
        raise BusRefused(bus, f"no message can be sent in the name of {message.user_id!r}")
    if (trouble := flaw(to, message, beyond)) is not None:
        raise BusRefused(bus, trouble)


def flaw(to: Address, message: BusMessage, beyond: int) -> str | None:
    """Why there is no room for this; ``None`` if there is.  ``beyond`` is the first number that is too large."""
    short = (to.exchange, to.key, message.content_type, message.correlation_id, message.app_id, str(message.reply_to))
    if any(map(_is_long, short)):
        return f"a routing key, an address or a property of more than {KEY_BYTES} bytes"
    if any(_is_long(name) for name, _ in message.headers):
        return f"a header's name of more than {KEY_BYTES} bytes"
    if any(isinstance(value, int) and not -SIGNED <= value < beyond for _, value in message.headers):
        return "a number of more than 64 bits"
    return None


def _is_long(text: str) -> bool:
    return len(text.encode("utf-8", "surrogatepass")) > KEY_BYTES
