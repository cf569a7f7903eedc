"""The engine between hostile bytes and those who are told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from fencebus_agent import amqp1_engine
from fencebus_agent.amqp1_engine import Engine, Greeting
from fencebus_agent.amqp1_link import BrokerLink, Hooks
from fencebus_agent.amqp1_profile import Peer
from fencebus_agent.amqp1_speaking import Boxes
from fencebus_agent.bus import Address, BusError, BusMessage, BusRefused, Priority, topic_exchange
from fencebus_agent.outbox import Parcel
from fencebus_agent.peers_audience import Audience, Ears
from fencebus_schemas.deadline import Deadline
from tests.hypervisors import eventually

TOPIC = Address(topic_exchange(), "a.#")
ROUNDS = 80


class Ends:
    """What a listener and its audience were told."""

    def __init__(self) -> None:
        self.heard: list[BusMessage] = []
        self.settled: list[BusError | None] = []
        self.lost: list[str] = []
        self.complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: self.complaints.append(context))

    def listener(self) -> BrokerLink:
        """One who wants to hear TOPIC."""
        hooks = Hooks(lambda _binding, message: self.heard.append(message), self._settle, self.lost.append)
        return BrokerLink("a", Greeting("b"), lambda: (TOPIC,), Boxes(), hooks, Peer())

    def audience(self) -> Audience:
        """The side that speaks to it."""
        return Audience(
            "b", Greeting("a"), Ears(lambda _who: None, lambda _who, reason: self.lost.append(reason), self._settle)
        )

    def lost_more_than(self, count: int) -> bool:
        """True once so many connections and one more have ended."""
        return len(self.lost) > count

    def _settle(self, _parcel: Parcel, error: BusError | None) -> None:
        self.settled.append(error)


async def attach(engine: Engine, end: socket.socket) -> None:
    """The engine on one end of a connection."""
    await asyncio.get_running_loop().connect_accepted_socket(lambda: engine, end)


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection that does not block."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    with ends[0], ends[1]:
        yield ends


async def recorded(ends: Ends, count: int) -> tuple[bytes, bytes]:
    """What a listener and its audience say to each other while so many messages go: the bytes of each."""
    loop = asyncio.get_running_loop()
    link, audience = ends.listener(), ends.audience()
    said = {0: b"", 1: b""}
    with pair() as (listener, there), pair() as (speaker, back):
        await attach(link.engine, listener)
        await attach(audience.engine, speaker)

        async def pass_on(number: int, source: socket.socket, sink: socket.socket) -> None:
            while data := await loop.sock_recv(source, 65536):
                said[number] += data
                await loop.sock_sendall(sink, data)

        tasks = [asyncio.create_task(pass_on(0, there, back)), asyncio.create_task(pass_on(1, back, there))]
        await link.ready
        parcel = Parcel(TOPIC, BusMessage(b"x" * 99), Deadline.after(30), Priority.INDICATION, None)
        for _ in range(count):
            (box,) = audience.boxes(Address(TOPIC.exchange, "a.b"))
            box.put(parcel)
            audience.push()
            parcel = Parcel(TOPIC, BusMessage(b"x" * 99), Deadline.after(30), Priority.INDICATION, None)
        await eventually(lambda: len(ends.settled) == count and len(ends.heard) == count)
        await link.engine.leave(5)
        await audience.engine.leave(5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return said[0], said[1]


async def test_a_listener_hears_and_its_audience_is_told_what_became_of_it() -> None:
    ends = Ends()
    await recorded(ends, 3)
    assert [message.body for message in ends.heard] == [b"x" * 99] * 3
    assert ends.settled == [None] * 3
    assert len(ends.lost) == 2
    assert ends.complaints == []


@pytest.mark.parametrize("side", ("listener", "audience"))
async def test_bytes_that_are_broken_anywhere_end_a_connection_and_nothing_else(side: str) -> None:
    ends = Ends()
    by_listener, by_audience = await recorded(ends, 3)
    said = by_audience if side == "listener" else by_listener
    dice = random.Random(7)
    for _ in range(ROUNDS):
        broken = bytearray(said)
        for _ in range(dice.choice((1, 1, 2, 20))):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        lost = len(ends.lost)
        link = ends.listener()
        link.ready.cancel()  # nobody waits for it
        engine = link.engine if side == "listener" else ends.audience().engine
        with pair() as (here, there):
            await attach(engine, here)
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(there, broken)
                there.shutdown(socket.SHUT_WR)
            await eventually(partial(ends.lost_more_than, lost))
    assert ends.complaints == []


async def test_a_message_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amqp1_engine, "LARGEST", 100_000)
    ends = Ends()
    link, audience = ends.listener(), ends.audience()
    with pair() as (listener, speaker):
        await attach(link.engine, listener)
        await attach(audience.engine, speaker)
        await link.ready
        (box,) = audience.boxes(Address(TOPIC.exchange, "a.b"))
        box.put(Parcel(TOPIC, BusMessage(b"x" * 300_000), Deadline.after(30), Priority.INDICATION, None))
        audience.push()
        await eventually(lambda: len(ends.lost) == 2)
    assert "a message of more than 100000 bytes" in ends.lost
    assert ends.heard == []


async def test_who_says_nothing_is_lost() -> None:
    ends = Ends()
    hooks = Hooks(lambda _binding, _message: None, ends._settle, ends.lost.append)
    link = BrokerLink("a", Greeting("b", silence=0.3), lambda: (TOPIC,), Boxes(), hooks, Peer())
    with pair() as (here, _there):
        await attach(link.engine, here)
        await eventually(lambda: bool(ends.lost), 30)
    assert ends.lost[0].startswith(("it does not begin to speak", "amqp:resource-limit-exceeded: local-idle-timeout"))
    with pytest.raises(BusError):
        await link.ready
    with pair() as (here, _there):
        await attach(
            Audience("b", Greeting("a", silence=0.3), Ears(print, lambda *_: ends.lost.append(""), print)).engine, here
        )
        await eventually(lambda: len(ends.lost) == 2, 30)


async def test_an_audience_takes_no_message_and_no_link_that_does_not_say_what_it_wants() -> None:
    ends = Ends()
    hooks = Hooks(lambda _binding, _message: None, ends._settle, ends.lost.append)
    boxes = Boxes((TOPIC,))
    link = BrokerLink("a", Greeting("b"), tuple, boxes, hooks, Peer())
    box = boxes.of(TOPIC)
    assert box is not None
    parcel = Parcel(TOPIC, BusMessage(), Deadline.after(30), Priority.INDICATION, None)
    box.put(parcel)
    with pair() as (here, there):
        await attach(link.engine, here)
        await attach(ends.audience().engine, there)
        await eventually(lambda: bool(ends.settled))
        await eventually(lambda: len(ends.lost) == 2)
    assert isinstance(ends.settled[0], BusRefused)
    with pytest.raises(BusError, match="a link has to receive"):
        await link.ready


def sasl(body: bytes) -> bytes:
    """A frame of SASL, after its protocol's header."""
    return b"AMQP\x03\x01\x00\x00" + (len(body) + 8).to_bytes(4, "big") + b"\x02\x01\x00\x00" + body


MECHANISM = b"\xb3\x00\x00\x00\x08EXTERNAL"
EXTERNAL_ALONE = b"\x00\x53\x40\xc0\x17\x01\xf0\x00\x00\x00\x11\x00\x00\x00\x01" + MECHANISM


async def test_a_certificate_logs_in_by_itself_where_the_broker_takes_that() -> None:
    ends = Ends()
    hooks = Hooks(lambda _binding, _message: None, ends._settle, ends.lost.append)
    link = BrokerLink("a", Greeting("b", mechanism="EXTERNAL"), tuple, Boxes(), hooks, Peer())
    link.ready.cancel()
    with pair() as (here, there):
        await attach(link.engine, here)
        there.sendall(sasl(EXTERNAL_ALONE))
        heard = b""
        while b"EXTERNAL" not in heard:
            heard += await asyncio.wait_for(asyncio.get_running_loop().sock_recv(there, 4096), 30)
        link.engine.drop("enough")
        await eventually(lambda: ends.lost == ["enough"])


@pytest.mark.parametrize("broken", (EXTERNAL_ALONE.replace(b"\x17", b"\x15"), EXTERNAL_ALONE[:9]))
async def test_a_login_that_cannot_be_understood_ends_at_once(broken: bytes) -> None:
    ends = Ends()
    link = ends.listener()
    link.ready.cancel()
    with pair() as (here, there):
        await attach(link.engine, here)
        there.sendall(sasl(broken))
        await eventually(lambda: bool(ends.lost), 9)  # long before the time for its opening is over
    assert "cannot be understood" in ends.lost[0]
