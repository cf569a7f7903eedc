"""The serial listener: keeps every line of every running guest open, as guests come and go.

Lines are found in libvirt's XML, again after each event and every half minute.  Each line has a task of its own,
which connects again for as long as the guest has the line.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fencebus_agent.guest_devices import GuestDevices, GuestLine
from fencebus_agent.hypervisor import EventSink, HypervisorError
from fencebus_host.config.model import SerialSettings
from fencebus_host.line_choice import chosen
from fencebus_host.listeners.line import LineSession, LineTerms
from fencebus_host.ports import Handle
from fencebus_schemas.model import Source

log = logging.getLogger(__name__)

RESCAN_SECONDS = 30.0
SETTLE_SECONDS = 0.05
"""Events come in bursts: one scan answers them all."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
LONGEST_PATH = 107
"""Bytes of a Unix socket's path (sun_path, less its NUL)."""

Devices = Callable[[], Awaitable[Sequence[GuestDevices]]]
"""Reads the devices of all running guests; raises HypervisorError."""

Subscribe = Callable[[EventSink], None]


class SerialListener:
    """All lines that one configuration section selects."""

    def __init__(self, settings: SerialSettings, devices: Devices, subscribe: Subscribe) -> None:
        self._settings = settings
        self._devices = devices
        self._stir = asyncio.Event()
        self._lines: dict[GuestLine, asyncio.Task[None]] = {}
        self.name = settings.name
        subscribe(lambda _event: self._stir.set())

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        log.info("listener=%s ready", self.name)
        ready()
        try:
            while True:
                self._stir.clear()
                await self._scan(handle)
                await self._until_stirred()
        finally:
            for task in self._lines.values():
                task.cancel()

    async def _until_stirred(self) -> None:
        try:
            async with asyncio.timeout(RESCAN_SECONDS):
                await self._stir.wait()
            await asyncio.sleep(SETTLE_SECONDS)
        except TimeoutError:
            return

    async def _scan(self, handle: Handle) -> None:
        try:
            wanted = chosen(self._settings, await self._devices())
        except HypervisorError as error:
            log.warning("listener=%s cannot look for lines: %s", self.name, error)
            return
        for line in [known for known in self._lines if known not in wanted]:
            log.info("listener=%s line=%s of %s is gone", self.name, line.path, line.vm_name)
            self._lines.pop(line).cancel()
        for line in wanted:
            if line not in self._lines:
                log.info("listener=%s line=%s of %s", self.name, line.path, line.vm_name)
                self._lines[line] = asyncio.create_task(self._keep(line, handle), name=f"line {line.path}")

    # -- one line ----------

    async def _keep(self, line: GuestLine, handle: Handle) -> None:
        """Connect, serve, and connect again until the line is gone."""
        if len(line.path.encode()) > LONGEST_PATH:
            log.error("listener=%s line=%s: a socket's path has at most %d bytes", self.name, line.path, LONGEST_PATH)
            return
        pause = FIRST_PAUSE
        while True:
            try:
                await (self._await_caller(line, handle) if line.daemon_listens else self._call(line, handle))
                pause = FIRST_PAUSE
            except OSError as error:
                log.debug("listener=%s line=%s: %s", self.name, line.path, error)
                pause = min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _call(self, line: GuestLine, handle: Handle) -> None:
        """The hypervisor listens on the socket (``mode='bind'``)."""
        reader, writer = await asyncio.open_unix_connection(line.path)
        await self._serve_connection(line, handle, reader, writer)

    async def _await_caller(self, line: GuestLine, handle: Handle) -> None:
        """The hypervisor connects to the socket (``mode='connect'``): the daemon listens there, whether the guest
        runs or not.
        """

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve_connection(line, handle, reader, writer)
            except OSError as error:
                log.debug("listener=%s line=%s: %s", self.name, line.path, error)

        server = await asyncio.start_unix_server(connected, sock=listening_socket(Path(line.path)))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()

    async def _serve_connection(
        self, line: GuestLine, handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        source = Source(line.vm, line.vm, line.vm_name, known=True)
        session = LineSession(LineTerms(source, self.name, self._settings.request_timeout), handle)
        try:
            await session.serve(reader, writer)
        finally:
            writer.transport.abort()


def listening_socket(path: Path) -> socket.socket:
    """A socket that belongs to its folder's group, which is how the administrator lets the hypervisor's user in.

    Raises OSError, also if something else than a dead socket is in the way.
    """
    if path.is_socket():
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        os.chown(path, -1, path.parent.stat().st_gid)
        path.chmod(0o660)
    except OSError:
        listening.close()
        raise
    return listening
