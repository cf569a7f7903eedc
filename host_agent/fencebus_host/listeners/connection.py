"""Holds one connection to a guest: what it sent, what it is sent, and whether it is still there.

An asyncio protocol of its own instead of asyncio's streams: the half of a request's time that the daemon itself needs
went into their readers, tasks and timers.  See docs/performance.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fencebus_schemas.errors import WireError

STEP_SECONDS = 10.0
"""As C's server: how long a peer may take for one step of the handshake, or to take its reply."""
MOST_UNREAD = 4096
"""Bytes that a peer may be ahead; then nothing more is read from it until somebody wants it (S11)."""


class Stream(asyncio.Protocol):
    """One connection to a guest; one task reads, sends and waits.  All but ``gone`` is for the loop's thread.

    accepted: told when the connection is made.
    """

    def __init__(self, accepted: Callable[[Stream], None] | None = None) -> None:
        self._accepted = accepted
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._drops = False
        self._paused = False
        self._unsent = False
        self._ended = False
        self._lost: str | None = None
        self._expired = False
        self._waiter: asyncio.Future[None] | None = None
        self.when_gone: Callable[[], None] | None = None
        """Called, once or twice, when ``gone`` becomes true."""

    # -- what the listeners use ----------

    @property
    def gone(self) -> bool:
        """True once the peer has closed, or the connection broke: nobody hears an answer (S12).  For any thread."""
        return self._ended or self._lost is not None

    @property
    def peername(self) -> tuple[object, ...]:
        """The peer's address as its socket family has it; empty if the peer has left already."""
        return self._open_transport.get_extra_info("peername") or ()

    async def read(self, length: int, seconds: float) -> bytes:
        """Exactly so many bytes; raises WireError("silent") if they do not come in time, ("closed") if they never
        will.
        """
        if not await self._until(lambda: len(self._received) >= length or self.gone, seconds):
            raise WireError("silent", f"{length} bytes did not arrive within {seconds:g} s")
        if len(self._received) < length:
            raise WireError("closed", self._lost or f"closed after {len(self._received)} of {length} bytes")
        data = bytes(self._received[:length])
        del self._received[:length]
        self._throttle()
        return data

    async def send(self, data: bytes) -> None:
        """All of ``data``, down to the kernel; raises WireError if the peer does not take it."""
        transport = self._open_transport
        transport.write(data)
        if transport.is_closing():
            await asyncio.sleep(0)  # the loop tells of a connection that broke at this write in its next round
        if not await self._until(lambda: not self._unsent or self._lost is not None, STEP_SECONDS):
            self.abort()  # a close would keep the descriptor until the peer has read the rest, which may be never
            raise WireError("unread", "the peer does not read what is sent to it")
        if self._lost is not None:
            raise WireError("closed", self._lost)

    def drop_input(self) -> None:
        """From here on, whatever the peer sends is read and dropped, so that its leaving is noticed."""
        self._drops = True
        self._received.clear()
        self._throttle()

    async def hung_up(self, seconds: float) -> bool:
        """Wait until the peer closes; true if it did so in order, false if it broke off or stayed."""
        self.drop_input()
        await self._until(lambda: self.gone, seconds)
        return self._ended

    def close(self) -> None:
        """Close, once what was sent has left."""
        self._open_transport.close()

    def abort(self) -> None:
        """Close at once, sending nothing more."""
        self._open_transport.abort()

    # -- what the loop calls ----------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(0)
        if self._accepted is not None:
            self._accepted(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._drops:
            return
        self._received += data
        self._throttle()
        self._wake()

    def eof_received(self) -> bool:
        """See asyncio.Protocol.  The way back stays open: a peer may close its own half and wait."""
        self._ended = True
        self._tell_gone()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._lost = f"lost: {exc}" if exc else "closed"
        self._tell_gone()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._unsent = True

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._unsent = False
        self._wake()

    # -- waiting ----------

    @property
    def _open_transport(self) -> asyncio.Transport:
        assert self._transport is not None, "the loop has not connected it"
        return self._transport

    def _throttle(self) -> None:
        full = len(self._received) > MOST_UNREAD
        if full != self._paused and self._lost is None and not self._open_transport.is_closing():
            self._paused = full
            if full:
                self._open_transport.pause_reading()
            else:
                self._open_transport.resume_reading()

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Return true once ``done()`` is, false if it is not after so many seconds."""
        if done():
            return True
        self._expired = False
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._expire)
        try:
            while not self._expired and not done():
                self._waiter = loop.create_future()
                await self._waiter
            return done()
        finally:
            timer.cancel()
            self._waiter = None

    def _expire(self) -> None:
        self._expired = True
        self._wake()

    def _tell_gone(self) -> None:
        self._wake()
        if self.when_gone is not None:
            self.when_gone()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
