"""The serial port of the host itself: one guest at the other end of a cable, named by the configuration.

pyserial sets the line up; asyncio reads and writes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fencebus_host.config.model import SerialSettings, TtySettings
from fencebus_host.listeners.line import LineSession, LineTerms
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.ports import Handle
from fencebus_schemas.model import Source, VmRecord

log = logging.getLogger(__name__)

Find = Callable[[str], Awaitable[VmRecord | None]]
"""The one VM of this name or UUID, if there is exactly one."""


class TtyListener:
    """One serial port."""

    def __init__(self, settings: SerialSettings, tty: TtySettings, find: Find, refusals: Refusals) -> None:
        self._settings = settings
        self._tty = tty
        self._find = find
        self._refusals = refusals
        self.name = settings.name

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled; raises OSError: no such port or no such guest (yet), or the port was lost."""
        vm = await self._find(self._tty.vm)
        if vm is None:
            raise OSError(f"there is no VM {self._tty.vm!r}, which is said to be on {self._tty.device}")
        source = Source(vm.uuid, vm.uuid, vm.name, known=True)
        async with _streams(open_port(self._tty)) as (reader, writer):
            log.info("listener=%s ready on %s for %s", self.name, self._tty.device, vm.name)
            ready()
            terms = LineTerms(source, self.name, self._settings.request_timeout)
            await LineSession(terms, handle, self._refusals).serve(reader, writer)
        raise OSError(f"{self._tty.device} was closed")


def open_port(tty: TtySettings) -> int:
    """A descriptor of the port, set up and ours alone; raises OSError, also where pyserial is not installed."""
    try:
        import serial
    except ImportError:
        advice = "Debian: python3-serial; else: pip install 'fencebus[serial]'"
        raise OSError(f"{tty.device} needs pyserial ({advice})") from None
    port = serial.Serial(
        str(tty.device), tty.speed, tty.data_bits, tty.parity, float(tty.stop_bits), timeout=0, exclusive=True
    )
    try:
        return os.dup(port.fileno())
    finally:
        port.close()


@asynccontextmanager
async def _streams(descriptor: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """asyncio's streams over a descriptor; both its ends are closed at the end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    read_end = os.fdopen(descriptor, "rb", buffering=0)
    write_end = os.fdopen(os.dup(descriptor), "wb", buffering=0)
    reading, _ = await loop.connect_read_pipe(lambda: protocol, read_end)
    writing, flow = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop), write_end)
    try:
        yield reader, asyncio.StreamWriter(writing, flow, reader, loop)
    finally:
        reading.close()
        writing.abort()
