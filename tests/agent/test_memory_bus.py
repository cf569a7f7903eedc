"""The knobs of the bus in memory, and the port's own values."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from fencebus_agent.bus import Address, BusMessage, BusState, Priority, topic_exchange
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from tests.hypervisors import eventually, soon

COMMAND = Priority.COMMAND
EVERYBODY = Address(topic_exchange(), "all")
QUIET = 0.05


class Pair:
    """Two clients of one broker; ``heard`` is what came to the second one."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.a, self.b = MemoryBus(broker, "a"), MemoryBus(broker, "b")
        self.heard: list[str] = []
        self.b.subscribe(self.b.own, lambda message: self.heard.append(message.body.decode()))

    async def say(self, *texts: str, ttl: float | None = None) -> None:
        """From the first to the second."""
        for text in texts:
            await self.a.send(self.b.own, BusMessage(text.encode(), ttl=ttl), soon(), COMMAND)


@contextlib.asynccontextmanager
async def connected(*buses: MemoryBus) -> AsyncIterator[None]:
    """They run, as long as the context lasts."""
    tasks = [asyncio.create_task(bus.run()) for bus in buses]
    try:
        for bus in buses:
            await bus.wait_connected(soon())
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair(MemoryBroker(seed=7))
    async with connected(made.a, made.b):
        yield made


async def test_what_is_lost_is_lost_for_good(pair: Pair) -> None:
    pair.broker.line("a", "b").loss = 1.0
    await pair.say("lost")
    pair.broker.line("a", "b").loss = 0.0
    await pair.say("heard")
    await asyncio.sleep(QUIET)
    assert pair.heard == ["heard"]


async def test_some_of_many_are_lost_and_the_same_ones_with_the_same_seed() -> None:
    runs = []
    for _ in range(2):
        pair = Pair(MemoryBroker(seed=11))
        pair.broker.line("a", "b").loss = 0.5
        async with connected(pair.a, pair.b):
            await pair.say(*map(str, range(50)))
            await asyncio.sleep(QUIET)
        runs.append(pair.heard)
    assert 5 < len(runs[0]) < 45
    assert runs[0] == runs[1]


async def test_a_message_comes_twice(pair: Pair) -> None:
    pair.broker.line("a", "b").duplication = 1.0
    await pair.say("x")
    await asyncio.sleep(QUIET)
    assert pair.heard == ["x", "x"]


async def test_a_delay_keeps_the_order_and_a_jitter_does_not(pair: Pair) -> None:
    pair.broker.line("a", "b").delay = 0.03
    numbers = [str(number) for number in range(30)]
    await pair.say(*numbers)
    await asyncio.sleep(0)
    assert pair.heard == []
    await eventually(lambda: len(pair.heard) == 30)
    assert pair.heard == numbers
    pair.heard.clear()
    pair.broker.line("a", "b").jitter = 0.05
    await pair.say(*numbers)
    await eventually(lambda: len(pair.heard) == 30)
    assert pair.heard != numbers
    assert sorted(pair.heard) == sorted(numbers)


async def test_a_partition_goes_one_way_or_both_and_is_mended(pair: Pair) -> None:
    back: list[BusMessage] = []
    pair.a.subscribe(pair.a.own, back.append)
    pair.broker.part("a", "b", one_way=True)
    await pair.say("unheard")
    await pair.b.send(pair.a.own, BusMessage(), soon(), COMMAND)
    await asyncio.sleep(QUIET)
    assert (pair.heard, len(back)) == ([], 1)
    pair.broker.part("a", "b")
    await pair.b.send(pair.a.own, BusMessage(), soon(), COMMAND)
    await asyncio.sleep(QUIET)
    assert len(back) == 1
    pair.broker.mend()
    await pair.say("heard")
    await eventually(lambda: pair.heard == ["heard"])


async def test_what_waits_for_a_stopped_client_expires_there(pair: Pair) -> None:
    pair.b.stalled = True
    assert pair.b.stalled
    await pair.say("short", ttl=0.02)
    await pair.say("long", ttl=60.0)
    await pair.say("for ever")
    await asyncio.sleep(QUIET)
    assert pair.heard == []
    pair.b.stalled = False
    await eventually(lambda: bool(pair.heard))
    assert pair.heard == ["long", "for ever"]


async def test_a_queue_ends_with_its_connection(pair: Pair) -> None:
    pair.b.stalled = True
    await pair.say("queued")
    await asyncio.sleep(0)
    pair.broker.sever("b")
    await pair.b.wait_connected(soon())
    pair.b.stalled = False
    await asyncio.sleep(QUIET)
    assert pair.heard == []


async def test_what_is_still_on_its_way_when_a_client_starts_again_comes_to_its_topics_but_not_to_its_own_address(
    pair: Pair,
) -> None:
    pair.broker.line("a", "b").delay = 0.05
    await pair.say("to the old one")
    await pair.a.send(EVERYBODY, BusMessage(b"to whoever is there", ttl=0.02), soon(), COMMAND)
    await pair.b.close()
    restarted, heard = MemoryBus(pair.broker, "b"), list[str]()
    for address in (EVERYBODY, restarted.own):
        restarted.subscribe(address, lambda message: heard.append(message.body.decode()))
    async with connected(restarted):
        await eventually(lambda: bool(heard))
        await asyncio.sleep(QUIET)
    assert heard == ["to whoever is there"]
    assert pair.heard == []


async def test_a_broker_that_goes_down_takes_everybody_along_and_all_come_back(pair: Pair) -> None:
    told: list[tuple[BusState, str]] = []
    pair.b.watch(lambda state, reason: told.append((state, reason)))
    pair.broker.up = False
    assert not pair.broker.up
    assert told == [(BusState.LOST, "the broker is down")]
    pair.broker.up = True
    for bus in (pair.a, pair.b):
        await bus.wait_connected(soon())
    await pair.say("again")
    await eventually(lambda: pair.heard == ["again"])


async def test_one_client_that_may_connect_leaves_the_other_waiting(pair: Pair) -> None:
    for name in "ab":
        pair.broker.bar(name)
    pair.broker.admit("b")
    await pair.b.wait_connected(soon())
    await asyncio.sleep(QUIET)
    waiting = asyncio.create_task(pair.say("late"))
    await asyncio.sleep(QUIET)
    assert not waiting.done()
    pair.broker.admit("a")
    await waiting
    await eventually(lambda: pair.heard == ["late"])


async def test_a_broker_without_room_says_so(pair: Pair) -> None:
    pair.broker.congested = True
    assert pair.broker.congested
    await pair.a.send(pair.b.own, BusMessage(), soon(), Priority.INDICATION)
    assert pair.a.dropped == 1
    waiting = asyncio.create_task(pair.say("waits"))
    await asyncio.sleep(QUIET)
    pair.broker.congested = False
    await waiting


async def test_a_closed_client_hears_nothing_of_what_is_already_here(pair: Pair) -> None:
    await pair.say("too late")
    await pair.b.close()
    await asyncio.sleep(QUIET)
    assert pair.heard == []


async def test_the_exchanges_of_another_domain_are_others(pair: Pair) -> None:
    heard: list[BusMessage] = []
    pair.b.subscribe(Address(topic_exchange("east"), "all"), heard.append)
    await pair.a.send(EVERYBODY, BusMessage(), soon(), COMMAND)
    await pair.a.send(Address(topic_exchange("east"), "all"), BusMessage(b"east"), soon(), COMMAND)
    await eventually(lambda: bool(heard))
    assert [message.body for message in heard] == [b"east"]


@pytest.mark.parametrize(
    ("text", "address"),
    (
        ("qmf.default.direct/qmfc-v2-host.1.1", Address("qmf.default.direct", "qmfc-v2-host.1.1")),
        ("amq.direct/reply/with/slashes", Address("amq.direct", "reply/with/slashes")),
        ("a-queue", Address("", "a-queue")),
        ("/queue", Address("", "queue")),
    ),
)
def test_a_reply_to_is_an_exchange_and_a_key_or_a_queue(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


def test_a_header_may_be_there_without_a_value() -> None:
    message = BusMessage(headers=(("partial", None), ("qmf.opcode", "x")))
    assert message.has_header("partial")
    assert message.header("partial") is None
    assert not message.has_header("other")
    assert message.header("qmf.opcode") == "x"
