"""Stream is what py-amqp takes for its socket: bytes that asyncio sends and has received, handed out as whole frames.

py-amqp waits where it needs an answer, which the loop must not do.  So a stream is used by one side at a time
(kombu_courier decides which): the loop, which only takes frames that are there, or a thread, which may wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from struct import Struct

HEADER = b"AMQP\x00\x00\x09\x01"
"""What a client says first (AMQP 0-9-1, 4.2.2)."""
LARGEST = 1 << 20
"""Bytes of a frame that are waited for: kombu_link agrees on 128 KiB at most, so more is no broker's."""
UNHEARD = 1000
"""Milliseconds in which the broker's machine has to acknowledge what was sent, before the connection is given up: where
a cable is cut, another broker is tried that much sooner than a heartbeat is missed.  As py-amqp's own transport has it.
"""
MUCH, LITTLE = 1 << 20, 1 << 18
"""Bytes that wait to be read, from which on no more are taken, and below which they are again."""
_HEAD, _END = Struct(">BHI"), 0xCE
"""Type, channel and size of a frame, and its last byte (4.2.3)."""

Frame = tuple[int, int, bytes]


class Stream(asyncio.Protocol):
    """One connection's.  Build it on the loop.  ``heed`` is called there when anything has changed: bytes have come,
    there is room again, or it is over.
    """

    def __init__(self, patience: float, heed: Callable[[], None]) -> None:
        """``patience``: seconds for which a thread waits for a frame, where py-amqp says nothing else."""
        self._loop = asyncio.get_running_loop()
        self._patience, self._heed = patience, heed
        self._news = threading.Condition()
        self._bytes = bytearray()
        self._transport: asyncio.Transport | None = None
        self._over = ""
        self._paused = False
        self._gathered: list[bytes] | None = None
        """What is written behind something else in one turn of the loop; ``None`` before anything was."""
        self.has_room = True
        """False while the kernel does not take what was written."""

    @property
    def has_frame(self) -> bool:
        """True if ``read_frame`` will not wait."""
        with self._news:
            return bool(self._over) or self._whole() > 0

    def abort(self, reason: str) -> None:
        """End it at once; a thread that waits hears of it.  From either side."""
        with self._news:
            self._over = self._over or reason
            self._news.notify_all()
        self._on_loop(self._drop)

    # ---- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        line: socket.socket = transport.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD)
        transport.set_write_buffer_limits(high=1, low=0)  # not 0: TLS would call the room full when nothing waits
        self._transport = transport
        if self._over:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        with self._news:
            self._bytes += data
            self._news.notify_all()
            if len(self._bytes) > MUCH and self._transport is not None and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        self._heed()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.abort(str(error) if error else "the broker has closed the connection")
        self._heed()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.has_room = False

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.has_room = True
        self._loop.call_soon(self._heed)  # TLS says it in the midst of a write, where nothing else may be written

    # ---- py-amqp: what its own transport offers, as far as a connection uses it

    @property
    def connected(self) -> bool:
        """True until it is over."""
        return self._transport is not None and not self._over

    def connect(self) -> None:
        """Begin to speak AMQP."""
        self.write(HEADER)

    def close(self) -> None:
        """End it."""
        self.abort("closed")

    @contextlib.contextmanager
    def having_timeout(self, seconds: float | None) -> Iterator[None]:
        """Another patience for a while, if one is named."""
        before = self._patience
        self._patience = before if seconds is None else seconds
        try:
            yield
        finally:
            self._patience = before

    def read_frame(self) -> Frame:
        """The next frame.  A thread waits for it; raises TimeoutError, and ConnectionError if there will be none."""
        until = time.monotonic() + self._patience
        with self._news:
            while not (size := self._whole()):
                if self._over:
                    raise ConnectionResetError(self._over)
                if _here() is self._loop:
                    raise AssertionError("the loop does not wait for a broker")
                if not self._news.wait(max(0.0, until - time.monotonic())) and time.monotonic() >= until:
                    raise TimeoutError("timed out")
            kind, channel, _ = _HEAD.unpack_from(self._bytes)
            payload = bytes(self._bytes[_HEAD.size : size - 1])
            del self._bytes[:size]
            if self._paused and len(self._bytes) < LITTLE:
                self._paused = False
                self._on_loop(self._resume)
        return kind, channel, payload

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it; it is copied, as py-amqp uses its memory again.  Raises ConnectionResetError once it is over."""
        if not self.connected:
            raise ConnectionResetError(self._over)
        self._on_loop(partial(self._send, bytes(data)))

    # ---- inside

    def _whole(self) -> int:
        """The size of the frame that has come as a whole; 0 if none has.  Raises ConnectionAbortedError."""
        if len(self._bytes) < _HEAD.size:
            return 0
        size: int = _HEAD.size + _HEAD.unpack_from(self._bytes)[2] + 1
        if size > LARGEST:
            raise ConnectionAbortedError("what came is no AMQP 0-9-1")
        if len(self._bytes) < size:
            return 0
        if self._bytes[size - 1] != _END:
            raise ConnectionAbortedError("a frame does not end where it should")
        return size

    def _send(self, data: bytes) -> None:
        """The first of a turn at once, as it may be an order; the rest together: each writing wakes the broker."""
        if self._gathered is not None:
            self._gathered.append(data)
            return
        self._gathered = []
        self._loop.call_soon(self._send_rest)
        self._write(data)

    def _send_rest(self) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._write(b"".join(gathered))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _on_loop(self, call: Callable[[], None]) -> None:
        on_loop(self._loop, call)


def on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call it: at once on the loop, soon from a thread, and in the order in which it is said."""
    if _here() is loop:
        call()
        return
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(call)


def _here() -> asyncio.AbstractEventLoop | None:
    """The loop, if this is called on one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
