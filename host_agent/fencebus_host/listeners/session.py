"""Drives one authenticated exchange over asyncio streams: handshake, request to the service, reply.

The shell that TCP, vsock and multicast's call-back share.  It decides nothing: the handshake is the schemas', the
answer the service's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Generator
from dataclasses import dataclass, field

from fencebus_host.ports import Handle
from fencebus_host.replies import network_reply
from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Read, Send, host_side
from fencebus_schemas.model import FenceRequest

STEP_SECONDS = 10.0
"""As C's server: how long a peer may take for one step of the handshake, or to take its reply."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One connection to a guest."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self, length: int, seconds: float) -> bytes:
        """Exactly so many bytes; raises WireError("silent") if they do not come in time, ("closed") if they never
        will.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.readexactly(length)
        except TimeoutError:
            raise WireError("silent", f"{length} bytes did not arrive within {seconds:g} s") from None
        except asyncio.IncompleteReadError as error:
            raise WireError("closed", f"closed after {len(error.partial)} of {length} bytes") from None
        except OSError as error:
            raise WireError("closed", f"lost: {error}") from None

    async def send(self, data: bytes) -> None:
        """All of ``data``, down to the kernel; raises WireError if the peer does not take it."""
        try:
            self.writer.transport.set_write_buffer_limits(0)
            self.writer.write(data)
            async with asyncio.timeout(STEP_SECONDS):
                await self.writer.drain()
        except TimeoutError:
            self.abort()  # a close would keep the descriptor until the peer has read the rest, which may be never
            raise WireError("unread", "the peer does not read what is sent to it") from None
        except OSError as error:
            raise WireError("closed", f"lost: {error}") from None

    async def left(self) -> None:
        """Return when the peer has closed or broken off; whatever it sends until then is dropped."""
        try:
            while await self.reader.read(4096):
                pass
        except OSError:
            return

    async def hung_up(self, seconds: float) -> bool:
        """Wait until the peer closes; true if it did so in order, false if it broke off or stayed."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(4096):
                    pass
        except (TimeoutError, OSError):
            return False
        return True

    def abort(self) -> None:
        """Close at once, sending nothing more."""
        self.writer.transport.abort()


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
    leaving = asyncio.create_task(stream.left())
    try:
        result = await handle(request, lambda: not leaving.done())
    finally:
        leaving.cancel()
        await asyncio.wait({leaving})
    await stream.send(network_reply(result))
