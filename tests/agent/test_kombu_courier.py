"""Who is at a connection when: a broker by script, which answers late, wrongly, or not at all, and a KombuBus on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat
from struct import pack, unpack_from

import pytest

from fencebus_agent import knocking, kombu_bus, kombu_courier, kombu_link
from fencebus_agent.bus import (
    Address,
    BusCongested,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    Priority,
    direct_exchange,
    topic_exchange,
)
from tests.agent.broker_by_script import (
    BIND,
    BIND_OK,
    BLOCKED,
    CHANNEL,
    CONSUME,
    DECLARE,
    DECLARE_OK,
    GOODBYE,
    HEARTBEAT,
    PUBLISH,
    QUEUE,
    SHUT,
    SHUT_OK,
    START_OK,
    TUNE_OK,
    UNBLOCKED,
    Method,
    Scripted,
    client,
    ended,
    frame,
    method,
    scripted,
    short,
    silent_about,
)
from tests.bus_clients import descriptors, nothing_left_behind, numbers, refusal
from tests.hypervisors import eventually, soon
from tests.rabbitmq_site import running

COMMAND = Priority.COMMAND


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that do not wait long, where nothing depends on it."""
    monkeypatch.setattr(knocking, "pauses", lambda: repeat(0.01))
    monkeypatch.setattr(kombu_link, "FAREWELL", 0.1)


@pytest.fixture
async def broker() -> AsyncIterator[Scripted]:
    async with scripted() as broker:
        yield broker


# ---- what is agreed on


async def test_a_client_agrees_on_no_larger_frames_than_it_would_read(broker: Scripted) -> None:
    async with running(client(broker)) as _:
        (tuned,) = [given for sig, given in broker.said if sig == TUNE_OK]
    assert unpack_from(">HIH", tuned)[1] == 1 << 17


# ---- promises


async def test_what_is_taken_by_the_broker_is_a_promise_kept(broker: Scripted) -> None:
    bus = client(broker)
    async with running(bus):
        for number in range(3):
            await bus.send(bus.own, BusMessage(b"%d" % number), soon(), COMMAND)
    assert broker.bodies == [b"0", b"1", b"2"]


async def test_what_waited_for_its_exchange_beyond_its_deadline_is_not_sent(broker: Scripted) -> None:
    bus, asked = client(broker), list[int]()

    def late(channel: int, sig: Method, given: bytes) -> bytes | None:
        if sig != DECLARE or b"slow" not in given:
            return None
        asked.append(channel)
        return b""

    async with running(bus):
        broker.instead = late
        with pytest.raises(BusCongested):
            await bus.send(Address("slow", "k"), BusMessage(b"late"), soon(0.1), COMMAND)
        broker.say(method(asked[0], DECLARE_OK))
        await bus.send(Address("slow", "k"), BusMessage(b"next"), soon(), COMMAND)
    assert broker.bodies == [b"next"]


async def test_a_refusal_that_comes_while_a_thread_binds_is_told_to_who_sent_it_and_ends_nothing(
    broker: Scripted,
) -> None:
    bus, told = client(broker), list[BusState]()
    topic = topic_exchange()

    def refuse(channel: int, sig: Method, _given: bytes) -> bytes | None:
        if sig == BIND:
            broker.instead = silent_about()
            words = short(f"NOT_FOUND - no exchange '{topic}' in vhost '/'")
            return method(broker.confirming, SHUT, pack(">H", 404) + words + pack(">HH", *PUBLISH)) + method(
                channel, BIND_OK
            )
        return b"" if sig == PUBLISH else None

    async with running(bus):
        bus.watch(lambda state, _reason: told.append(state))
        broker.instead = refuse
        broker.deaf = True
        sending = asyncio.create_task(bus.send(Address(topic, "x"), BusMessage(b"1"), soon(), COMMAND))
        await eventually(lambda: broker.count(PUBLISH) == 1)
        broker.deaf = False
        bus.subscribe(Address(topic, "more"), lambda _message: None)
        with pytest.raises(BusRefused, match="NOT_FOUND"):
            await sending
        await bus.send(Address(topic, "x"), BusMessage(b"2"), soon(), COMMAND)
        assert (told, len(broker.writers)) == ([], 1)
    assert broker.bodies == [b"2"]


async def test_a_broker_that_refuses_and_is_full_is_asked_for_a_new_channel_once_it_is_well_again(
    broker: Scripted,
) -> None:
    bus = client(broker)
    words = short("PRECONDITION_FAILED - too large")
    refusal_of_it = pack(">H", 406) + words + pack(">HH", *PUBLISH)

    def refuse(_channel: int, sig: Method, _given: bytes) -> bytes | None:
        if sig != PUBLISH:
            return None
        broker.instead = silent_about()
        return method(0, BLOCKED, short("memory")) + method(broker.confirming, SHUT, refusal_of_it)

    async with running(bus):
        broker.deaf, broker.instead = True, refuse
        sending = asyncio.create_task(bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND))
        await eventually(lambda: broker.count(SHUT_OK) == 1)
        asked = broker.count(CHANNEL)
        await asyncio.sleep(0.05)
        assert not sending.done()
        assert broker.count(CHANNEL) == asked
        broker.deaf = False
        broker.say(method(0, UNBLOCKED))
        with pytest.raises(BusRefused, match="too large"):
            await sending
        await bus.send(bus.own, BusMessage(b"2"), soon(), COMMAND)
    assert broker.bodies == [b"2"]
    assert len(broker.writers) == 1


async def test_what_was_written_and_not_confirmed_at_the_end_is_said_to_be_in_doubt_and_not_sent_again(
    broker: Scripted,
) -> None:
    bus = client(broker)
    async with running(bus):
        broker.deaf = True
        sending = asyncio.create_task(bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND))
        await eventually(lambda: broker.count(PUBLISH) == 1)
        broker.deaf = False
        broker.writers[-1].transport.abort()
        with pytest.raises(BusUnreachable, match="may arrive, or not"):
            await sending
        await bus.wait_connected(soon())
        await bus.send(bus.own, BusMessage(b"2"), soon(), COMMAND)
    assert broker.bodies == [b"2"]
    assert broker.count(PUBLISH) == 2


# ---- a broker that does not answer


async def test_a_broker_that_goes_on_talking_and_never_answers_a_login_is_left(
    broker: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kombu_bus, "LONGEST", 0.1)
    talking = asyncio.create_task(_talk(broker))
    broker.instead = silent_about(QUEUE)
    try:
        assert "no answer in time" in await refusal(client(broker, connect_timeout=0.2))
    finally:
        talking.cancel()


async def test_a_broker_that_goes_on_talking_and_never_answers_a_binding_is_left(
    broker: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kombu_courier, "LONGEST", 0.2)
    bus, reasons = client(broker), list[str]()
    bus.watch(lambda _state, reason: reasons.append(reason))
    async with running(bus):
        broker.instead = silent_about(BIND)
        talking = asyncio.create_task(_talk(broker))
        bus.subscribe(Address(direct_exchange(), "more"), lambda _message: None)
        await eventually(lambda: any("no answer in time" in reason for reason in reasons))
        talking.cancel()


async def _talk(broker: Scripted) -> None:
    while True:
        await asyncio.sleep(0.02)
        if broker.writers:
            broker.say(HEARTBEAT)


# ---- the end, whenever it comes


@pytest.mark.parametrize("waits_for", (START_OK, CHANNEL, QUEUE, BIND, CONSUME), ids=str)
@pytest.mark.parametrize("end", ("cancelled", "closed", "cut off"))
async def test_the_end_may_come_in_the_midst_of_a_login(broker: Scripted, waits_for: Method, end: str) -> None:
    before = descriptors()
    broker.instead = silent_about(waits_for)
    bus = client(broker)
    task = asyncio.create_task(bus.run())
    await eventually(lambda: broker.count(waits_for) == 1)
    if end == "cut off":
        broker.writers[0].transport.abort()
        await eventually(lambda: len(broker.writers) == 2)
    await bus.close()
    if end == "cancelled":
        task.cancel()
    await ended(task)
    for writer in broker.writers:
        writer.transport.abort()
    await nothing_left_behind(before)


@pytest.mark.parametrize("cancels", (1, 2))
async def test_the_end_may_come_in_the_midst_of_a_binding(broker: Scripted, cancels: int) -> None:
    before = descriptors()
    bus = client(broker)
    task = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    broker.instead = silent_about(BIND)
    bound = broker.count(BIND)
    bus.subscribe(Address(direct_exchange(), "more"), lambda _message: None)
    await eventually(lambda: broker.count(BIND) == bound + 1)
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    await ended(task)
    assert task.cancelled()
    assert bus._courier is None
    broker.writers[-1].transport.abort()
    await nothing_left_behind(before)


async def test_a_connection_that_is_lost_in_the_midst_of_a_binding_is_made_again_and_bound_then(
    broker: Scripted,
) -> None:
    bus = client(broker)
    async with running(bus):
        broker.instead = silent_about(BIND)
        bound = broker.count(BIND)
        bus.subscribe(Address(direct_exchange(), "more"), lambda _message: None)
        await eventually(lambda: broker.count(BIND) == bound + 1)
        broker.instead = silent_about()
        broker.writers[-1].transport.abort()
        await eventually(lambda: broker.count(BIND) == bound + 3)
        await bus.wait_connected(soon())


@pytest.mark.parametrize(
    "farewell",
    (
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(77, b"\x00\x0a\x00\x33"),
        frame(0, b"\x00\x63\x00\x63"),
        frame(0, b"", kind=4),
        frame(0, b""),
    ),
)
async def test_whatever_is_said_to_a_farewell_the_end_is_an_end(broker: Scripted, farewell: bytes) -> None:
    before = descriptors()
    bus = client(broker)
    task = asyncio.create_task(bus.run())
    await bus.wait_connected(soon())
    broker.instead = lambda _channel, sig, _given: farewell if sig == GOODBYE else None
    if not farewell:
        task.cancel()
        await eventually(lambda: broker.count(GOODBYE) == 1)
        task.cancel()
    else:
        await bus.close()
    await ended(task)
    assert bus._courier is None
    broker.writers[-1].transport.abort()
    await nothing_left_behind(before)


@pytest.mark.parametrize(
    "hostile",
    (
        frame(0, b"", kind=4),
        frame(9, b"\x00\x3c\x00\x50" + bytes(9)),
        frame(0, b"\x00\x63\x00\x63"),
        frame(1, b"\x00\x3c\x00\x3c\xff") + frame(1, b"\xff", kind=2),
        frame(1, b""),
        frame(0, b"")[:-1] + b"\x00",
        b"\x01\x00\x00\xff\xff\xff\xff",
    ),
)
async def test_hostile_bytes_end_their_connection_and_no_more(broker: Scripted, hostile: bytes) -> None:
    bus, states = client(broker), list[BusState]()
    async with running(bus):
        bus.watch(lambda state, _reason: states.append(state))
        broker.say(hostile)
        await eventually(lambda: states[:1] == [BusState.LOST])
        await bus.wait_connected(soon())
        await bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND)
    assert broker.bodies == [b"1"]


async def test_many_connections_leave_one_thread_and_one_socket(broker: Scripted) -> None:
    before = descriptors()
    bus = client(broker)
    numbers(bus)
    async with running(bus):
        for _ in range(4):
            await bus.wait_connected(soon())
            broker.writers[-1].transport.abort()
            seen = len(broker.writers)
            await eventually(lambda: len(broker.writers) > seen)  # noqa: B023 -- waited for in this very turn
        await bus.wait_connected(soon())
        await eventually(lambda: descriptors() <= before + 2)  # both ends of the last one
    await nothing_left_behind(before)
