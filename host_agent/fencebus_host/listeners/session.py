"""Drives one authenticated exchange over a connection: handshake, request to the service, reply.

The shell that TCP, vsock and multicast's call-back share.  It decides nothing: the handshake is the schemas', the
answer the service's.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from dataclasses import dataclass, field

from fencebus_host.listeners.connection import STEP_SECONDS, Stream
from fencebus_host.ports import Handle
from fencebus_host.replies import network_reply
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Read, Send, host_side
from fencebus_schemas.model import FenceRequest


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the daemon's handshakes have in common: the auth type, and the challenges that are out (reflection)."""

    auth: int
    issued: set[bytes] = field(default_factory=set)

    async def perform(self, stream: Stream, key: bytes) -> None:
        """Authenticate both sides; raises AuthError or another WireError."""
        side = host_side(key, self.auth, secrets.token_bytes(CHALLENGE_LENGTH), self.issued)
        await _drive(side, stream)


async def _drive(side: Generator[Send | Read, bytes, bytes], stream: Stream) -> None:
    """Consecutive sends leave in one piece, before the next read."""
    pending = bytearray()
    try:
        step = next(side)
        while True:
            if isinstance(step, Send):
                pending += step.data
                step = next(side)
                continue
            if pending:
                await stream.send(bytes(pending))
                pending.clear()
            step = side.send(await stream.read(step.length, STEP_SECONDS))
    except StopIteration:
        if pending:
            await stream.send(bytes(pending))


async def answer(stream: Stream, handle: Handle, request: FenceRequest) -> None:
    """Have the request carried out and send the reply; raises WireError if the peer does not take it.

    The request is wanted while the peer is connected (S12), also if it left bytes behind that nobody asked for.
    """
    stream.drop_input()
    result = await handle(request, lambda: not stream.has_left)
    await stream.send(network_reply(result))
