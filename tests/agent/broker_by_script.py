"""What looks like a RabbitMQ, by script: it answers as one does, or as a test says, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from struct import pack, unpack_from

from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus

START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK = ((10, each) for each in (10, 11, 30, 31, 40, 41))
GOODBYE, GOODBYE_OK, BLOCKED, UNBLOCKED = ((10, each) for each in (50, 51, 60, 61))
CHANNEL, CHANNEL_OK, SHUT, SHUT_OK = ((20, each) for each in (10, 11, 40, 41))
DECLARE, DECLARE_OK, QUEUE, QUEUE_OK, BIND, BIND_OK = (40, 10), (40, 11), (50, 10), (50, 11), (50, 20), (50, 21)
CONSUME, CONSUME_OK, PUBLISH, ACK, CONFIRM, CONFIRM_OK = (60, 20), (60, 21), (60, 40), (60, 80), (85, 10), (85, 11)
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"

Method = tuple[int, int]


def frame(channel: int, payload: bytes, kind: int = 1) -> bytes:
    """A frame."""
    return pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, sig: Method, arguments: bytes = b"") -> bytes:
    """A method, in its frame."""
    return frame(channel, pack(">HH", *sig) + arguments)


def short(text: str) -> bytes:
    """A short string."""
    return pack(">B", len(text)) + text.encode()


ANSWERS: dict[Method, tuple[Method, bytes]] = {
    START_OK: (TUNE, pack(">HIH", 100, 0xFFFFFFFF, 60)),
    OPEN: (OPEN_OK, short("")),
    CHANNEL: (CHANNEL_OK, pack(">I", 0)),
    SHUT: (SHUT_OK, b""),
    DECLARE: (DECLARE_OK, b""),
    QUEUE: (QUEUE_OK, short("q") + pack(">II", 0, 0)),
    BIND: (BIND_OK, b""),
    CONSUME: (CONSUME_OK, short("tag")),
    CONFIRM: (CONFIRM_OK, b""),
    GOODBYE: (GOODBYE_OK, b""),
}
HELLO = method(0, START, b"\x00\x09" + pack(">I", 0) + pack(">I", 5) + b"PLAIN" + pack(">I", 5) + b"en_US")


class Scripted:
    """What looks like a broker.  ``instead`` may answer a method on its own, which then is not answered as usual."""

    def __init__(self) -> None:
        self.instead: Callable[[int, Method, bytes], bytes | None] = lambda _channel, _sig, _given: None
        self.said: list[tuple[Method, bytes]] = []
        self.bodies: list[bytes] = []
        self.confirming = 0
        """The channel that is published on."""
        self.deaf = False
        """It reads messages, and forgets them."""
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self._tag = 0

    def count(self, sig: Method) -> int:
        """How often it was said."""
        return [said for said, _ in self.said].count(sig)

    def say(self, data: bytes) -> None:
        """To who came last."""
        self.writers[-1].write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.writers.append(writer)
        self._tag = 0
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            await reader.readexactly(8)
            writer.write(HELLO)
            while True:
                kind, channel, size = unpack_from(">BHI", await reader.readexactly(7))
                self._heard(kind, channel, (await reader.readexactly(size + 1))[:-1], writer)

    def _heard(self, kind: int, channel: int, payload: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == 3 and not self.deaf:
            self.bodies.append(payload)
            self._tag += 1
            writer.write(method(channel, ACK, pack(">QB", self._tag, 0)))
        if kind != 1:
            return
        sig, given = unpack_from(">HH", payload), payload[4:]
        self.said.append(((sig[0], sig[1]), given))
        if sig == CONFIRM:
            self.confirming, self._tag = channel, 0
        answer = self.instead(channel, (sig[0], sig[1]), given)
        if answer is None and (usual := ANSWERS.get((sig[0], sig[1]))) is not None:
            answer = method(channel, *usual)
        writer.write(answer or b"")


def silent_about(*these: Method) -> Callable[[int, Method, bytes], bytes | None]:
    """What to do ``instead``: nothing, when these are said."""
    return lambda _channel, sig, _given: b"" if sig in these else None


def late_with(binding: bytes, held: list[int]) -> Callable[[int, Method, bytes], bytes | None]:
    """What to do ``instead``: nothing, when this is to be bound; the channel that waits is held."""

    def late(channel: int, sig: Method, given: bytes) -> bytes | None:
        if sig != BIND or binding not in given:
            return None
        held.append(channel)
        return b""

    return late


@contextlib.asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    """One that can be reached."""
    broker = Scripted()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    yield broker
    server.close()
    for writer in broker.writers:
        writer.transport.abort()
    await asyncio.sleep(0)


def client(broker: Scripted, connect_timeout: float = 15.0) -> KombuBus:
    """Of its own."""
    return KombuBus(f"amqp://a:a@127.0.0.1:{broker.port}", Terms(connect_timeout=connect_timeout))


async def ended(task: asyncio.Task[None]) -> None:
    """In time, and without a sound."""
    async with asyncio.timeout(30):
        with contextlib.suppress(asyncio.CancelledError):
            await task
