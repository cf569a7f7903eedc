"""The guests' ends of lines for tests: real Unix sockets in QEMU's place, before a hypervisor in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from fencebus_agent.guest_devices import GuestLine, LineKind
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.complaints import Complaints
from fencebus_host.config.model import SerialMode, SerialSettings
from fencebus_host.config.problems import Where
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.serial import SerialListener
from fencebus_host.policy import Policy
from fencebus_host.ports import Handle
from fencebus_host.routers.local import LocalRouter
from fencebus_host.service import FenceService
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import FenceOutcome, FenceRequest, HostId, Incarnation, Uuid, VmState
from fencebus_schemas.serialline import ReplyReader, SerialRequest

PATIENCE = 8.0
_seqnos = itertools.count(1)


def uuid_of(number: int) -> Uuid:
    """The UUID of the guest with this number."""
    return Uuid(str(UUID(int=number, version=4)))


def settings(mode: SerialMode = SerialMode.SERIAL, path: Path | None = None) -> SerialSettings:
    """A serial listener's section."""
    return SerialSettings(where=Where("test"), request_timeout=PATIENCE, mode=mode, path=path)


def request(action: int, domain: str = "", seqno: int | None = None) -> bytes:
    """What C's and our client write."""
    return SerialRequest(action, domain, next(_seqnos) if seqno is None else seqno).pack()


class Paper:
    """Where nothing is kept."""

    async def ended(self, request: FenceRequest, evidence: Evidence) -> None:
        """Keep nothing."""

    def note(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """Note nothing."""


class GuestEnd:
    """One connection, as the program in the guest sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, data: bytes) -> None:
        """Write to the line."""
        self.writer.write(data)

    async def reply(self, seconds: float = 30.0) -> ReplyReader:
        """The next reply; TimeoutError if none comes in time."""
        replies = ReplyReader()
        async with asyncio.timeout(seconds):
            while not replies.done:
                # Byte by byte: what follows this reply belongs to the next one who reads.
                replies.feed(await self.reader.readexactly(1))
        return replies

    async def ask(self, action: int, domain: str = "", seconds: float = 30.0) -> int | None:
        """Write a request, and return the code of the reply to it."""
        self.write(request(action, domain))
        return (await self.reply(seconds)).code

    async def is_silent(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        try:
            async with asyncio.timeout(seconds):
                return not await self.reader.read(1)
        except TimeoutError:
            return True

    def hang_up(self) -> None:
        """Break the connection."""
        self.writer.transport.abort()


class QemuSocket:
    """QEMU's side of ``mode='bind'``: a socket at which it listens; the connections are in ``ends``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ends: asyncio.Queue[GuestEnd] = asyncio.Queue()
        self._all: list[GuestEnd] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> QemuSocket:
        """Begin to listen."""
        self._server = await asyncio.start_unix_server(self._connected, self.path)
        return self

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = GuestEnd(reader, writer)
        self._all.append(end)
        self.ends.put_nowait(end)

    @property
    def connections(self) -> int:
        """How many the daemon has made so far."""
        return len(self._all)

    async def adopted(self, seconds: float = 30.0) -> GuestEnd:
        """The next connection that the daemon makes."""
        async with asyncio.timeout(seconds):
            return await self.ends.get()

    def close(self) -> None:
        """End, as a QEMU does: listen no more, and break every connection."""
        for end in self._all:
            end.hang_up()
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)


@dataclass
class LineWorld:
    """A hypervisor in memory, the service on it, and the sockets of its guests."""

    folder: Path
    hypervisor: MemoryHypervisor = field(init=False)
    service: FenceService = field(init=False)
    sockets: list[QemuSocket] = field(default_factory=list)
    refusals: Refusals = field(default_factory=lambda: Refusals(Complaints()))

    def __post_init__(self) -> None:
        self.hypervisor = MemoryHypervisor(HostId("here"), Incarnation("boot", "machine", "nonce"))
        router, paper = LocalRouter([self.hypervisor]), Paper()
        self.service = FenceService(router, Policy(None), Fencing(router, Ledger(), paper), paper)

    def line(self, number: int, *, daemon_listens: bool = False) -> GuestLine:
        """The line of the guest with this number."""
        name = f"guest{number}"
        return GuestLine(uuid_of(number), name, LineKind.SERIAL, str(self.folder / name), daemon_listens)

    def add(self, number: int, state: VmState = VmState.RUNNING, lines: tuple[GuestLine, ...] = ()) -> Uuid:
        """Define a guest; returns its UUID."""
        self.hypervisor.define(MemoryVm(uuid_of(number), f"guest{number}", state, lines=lines))
        return uuid_of(number)

    async def guest(self, number: int) -> QemuSocket:
        """A running guest with a serial line, and the socket of it."""
        socket = await QemuSocket(self.folder / f"guest{number}").open()
        self.sockets.append(socket)
        self.add(number, lines=(self.line(number),))
        return socket

    def listener(self, section: SerialSettings | None = None) -> SerialListener:
        """A serial listener for all guests."""
        return SerialListener(section or settings(), [self.hypervisor], self.refusals)

    @asynccontextmanager
    async def listening(
        self, section: SerialSettings | None = None, handle: Handle | None = None
    ) -> AsyncIterator[None]:
        """A serial listener that serves as long as the context lasts."""
        ready = asyncio.Event()
        serving = asyncio.create_task(self.listener(section).serve(handle or self.service.handle, ready.set))
        await ready.wait()
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.wait({serving})

    async def close(self) -> None:
        """Close every socket."""
        for socket in self.sockets:
            socket.close()
        await asyncio.sleep(0.02)  # for what was aborted to be closed


@asynccontextmanager
async def line_world(folder: Path) -> AsyncIterator[LineWorld]:
    """A world whose sockets are closed at the end."""
    world = LineWorld(folder)
    try:
        yield world
    finally:
        await world.close()
