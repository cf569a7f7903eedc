"""Holds one connection to a guest: what it sent, what it is sent, and whether it is still there.

It stands directly on the loop's readers and writers: asyncio's streams and transports cost a reader, extra tasks,
timers and rounds of the loop for each request.  See docs/decisions/connections-on-the-loop.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable

from fencebus_schemas.errors import WireError

STEP_SECONDS = 10.0
"""As C's server: how long a peer may take for one step of the handshake, or to take its reply."""
MOST_UNREAD = 4096
"""Bytes that a peer may be ahead; then nothing more is read from it until somebody wants it (S11)."""


class Stream:
    """One connection to a guest; one task reads, sends and waits.  All but ``gone`` is for the loop's thread.

    connected: a stream socket, which becomes this object's own.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._number = connected.fileno()
        """For the loop, which writes out a socket's description in full at each (de)registration, but not a number."""
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._drops = False
        self._reads = False
        self._writes = False
        self._ended = False
        self._lost: str | None = None
        self._expired = False
        self._waiter: asyncio.Future[None] | None = None
        self.when_gone: Callable[[], None] | None = None
        """Called, once or twice, when ``gone`` becomes true."""
        connected.setblocking(False)
        with contextlib.suppress(OSError):  # not every family has it; the small replies must not wait for another
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- what the listeners use ----------

    @property
    def gone(self) -> bool:
        """True once the peer has closed, or the connection broke: nobody hears an answer (S12).  For any thread."""
        return self._ended or self._lost is not None

    @property
    def has_left(self) -> bool:
        """As ``gone``, but the kernel is asked too, for what the loop has not come to read: a daemon that was stopped
        for a while (SIGSTOP, a host that sleeps) must not act first and read afterwards (S12).  For any thread.
        """
        return self.gone or _is_hung_up(self._socket.fileno())

    @property
    def peername(self) -> tuple[object, ...]:
        """The peer's address as its socket family has it; empty if the peer has left already."""
        try:
            return tuple(self._socket.getpeername())
        except OSError:
            return ()

    async def connect(self, address: tuple[str, int], seconds: float) -> None:
        """Connect a new socket to a numeric address and a port; raises OSError, TimeoutError if nobody has answered."""
        number = self._socket.connect_ex(address)
        if number == errno.EINPROGRESS:
            number = self._socket.connect_ex(address)  # over the loopback it has come about within the first call
        if number == errno.EALREADY:
            if not await self._writable(seconds):
                raise TimeoutError(f"no connection within {seconds:g} s")
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))

    async def read(self, length: int, seconds: float) -> bytes:
        """Exactly so many bytes; raises WireError("silent") if they do not come in time, ("closed") if they never
        will.
        """
        if len(self._received) < length and not self.gone:
            self._readable()  # what has come already is there without a round of the loop
            self._read_on()
        if not await self._until(lambda: len(self._received) >= length or self.gone, seconds):
            raise WireError("silent", f"{length} bytes did not arrive within {seconds:g} s")
        if len(self._received) < length:
            raise WireError("closed", self._lost or f"closed after {len(self._received)} of {length} bytes")
        data = bytes(self._received[:length])
        del self._received[:length]
        return data

    async def send(self, data: bytes) -> None:
        """All of ``data``, down to the kernel; raises WireError if the peer does not take it."""
        left = data
        while left:
            left = left[self._send_some(left) :]
            if left and not await self._writable(STEP_SECONDS):
                self.abort()
                raise WireError("unread", "the peer does not read what is sent to it")

    def drop_input(self) -> None:
        """From here on, whatever the peer sends is read and dropped, so that its leaving is noticed."""
        self._drops = True
        self._received.clear()
        self._read_on()

    async def hung_up(self, seconds: float) -> bool:
        """Wait until the peer closes; true if it did so in order, false if it broke off or stayed."""
        self.drop_input()
        await self._until(lambda: self.gone, seconds)
        return self._ended

    def close(self) -> None:
        """Close; what was sent is in the kernel's hands already.  Idempotent."""
        self._lose("closed")
        self._socket.close()

    def abort(self) -> None:
        """As ``close``; whoever waits for the peer is told."""
        self.close()

    # -- what the loop calls ----------

    def _readable(self) -> None:
        try:
            data = self._socket.recv(MOST_UNREAD)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(f"lost: {error}")
            return
        if not data:
            self._ended = True
            self._read_no_more()
            self._tell_gone()
        elif not self._drops:
            self._received += data
            if len(self._received) > MOST_UNREAD:
                self._read_no_more()
            self._wake()

    def _expire(self) -> None:
        self._expired = True
        self._wake()

    # -- reading, sending, waiting ----------

    def _read_on(self) -> None:
        if not self._reads and not self.gone and len(self._received) <= MOST_UNREAD:
            self._loop.add_reader(self._number, self._readable)
            self._reads = True

    def _read_no_more(self) -> None:
        if self._reads:
            self._loop.remove_reader(self._number)
            self._reads = False

    def _send_some(self, data: bytes) -> int:
        if self._lost is not None:
            raise WireError("closed", self._lost)
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(f"lost: {error}")
            raise WireError("closed", f"lost: {error}") from None

    async def _writable(self, seconds: float) -> bool:
        """Return true once the kernel takes (more) bytes, or the connection is lost; false if not in time."""
        self._loop.add_writer(self._number, self._send_no_more)
        self._writes = True
        try:
            return await self._until(lambda: not self._writes, seconds)
        finally:
            self._send_no_more()

    def _send_no_more(self) -> None:
        if self._writes:
            self._loop.remove_writer(self._number)
            self._writes = False
            self._wake()

    def _lose(self, why: str) -> None:
        self._read_no_more()
        self._send_no_more()
        if self._lost is None:
            self._lost = why
            self._tell_gone()

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Return true once ``done()`` is, false if it is not after so many seconds."""
        if done():
            return True
        self._expired = False
        timer = self._loop.call_later(seconds, self._expire)
        try:
            while not self._expired and not done():
                self._waiter = self._loop.create_future()
                await self._waiter
            return done()
        finally:
            timer.cancel()
            self._waiter = None

    def _tell_gone(self) -> None:
        self._wake()
        if self.when_gone is not None:
            self.when_gone()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _is_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    try:
        poll.register(descriptor, select.POLLRDHUP)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # closed this very moment
        return True
