"""Converts QMF messages to messages of the bus and back, and decides to which addresses an agent may answer.

Pure.
"""

from __future__ import annotations

import re

from fencebus_agent.bus import Address, BusMessage
from fencebus_schemas import qmf1, qmf2
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_messages import Message

_QMF_EXCHANGE = re.compile(r"qmf\.[^.]+\.(direct|topic)")
_CONSOLES_KEY = "direct-console."
_VERSION_1_KEYS = ("reply-", _CONSOLES_KEY)


def to_bus(
    message: Message, reply_to: Address | None = None, correlation_id: str = "", ttl: float | None = None
) -> BusMessage:
    """What carries a message.  Raises WireError for a value that has no encoding."""
    packet = qmf2.encode(message)
    return BusMessage(
        packet.body, packet.content_type, packet.headers, reply_to, correlation_id, app_id=qmf2.APP_ID, ttl=ttl
    )


def from_bus(message: BusMessage) -> Message:
    """The message that was carried.  Raises WireError."""
    if len(message.body) > qmf2.LARGEST_REQUEST and _is_request(message):
        raise WireError("length", f"a request of {len(message.body)} bytes")
    return qmf2.decode(qmf2.Packet(message.headers, message.content_type, message.body))


def schema_request(message: BusMessage) -> qmf1.SchemaRequest | None:
    """The request of version 1 that it is; ``None`` if it is none."""
    if message.has_header(qmf2.OPCODE) or message.body[:4] != qmf1.REQUEST_MAGIC:
        return None
    return qmf1.SchemaRequest.unpack(message.body)


def schema_answer(agent: str, body: bytes) -> BusMessage:
    """The answer of version 1.  The header is how a console finds what waits for it (facts: qmf2 2.5)."""
    return BusMessage(body, qmf1.CONTENT_TYPE, (("qmf.agent", agent),))


def may_answer(to: Address, queues: bool) -> bool:
    """True for the places where consoles have their answers sent; to any queue by its name only if ``queues``.

    Whoever asks names the address: without this an agent would carry messages to wherever its own rights reach, and
    a broker that refuses one may end the link that heartbeats take (facts: qmf2 5.6, qpidd 4).
    """
    if not to.key:
        return False
    if to.exchange == "":
        return queues
    if to.exchange == "amq.direct":
        return to.key.startswith(_VERSION_1_KEYS)
    found = _QMF_EXCHANGE.fullmatch(to.exchange)
    return found is not None and (found[1] == "direct" or to.key.startswith(_CONSOLES_KEY))


def _is_request(message: BusMessage) -> bool:
    opcode = message.header(qmf2.OPCODE)
    return isinstance(opcode, str) and opcode.endswith("_request")
