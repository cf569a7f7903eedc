"""What every Bus does, whatever stands behind it: each test on each of the sites."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from fencebus_agent.bus import (
    MAP,
    Address,
    Bus,
    BusClosed,
    BusCongested,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    Priority,
    direct_exchange,
    topic_exchange,
)
from fencebus_schemas.deadline import Deadline
from tests.contract.bus_sites import GROUPS, SITES, Site
from tests.hypervisors import eventually, soon

TOPIC, DIRECT = topic_exchange(), direct_exchange()
COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION
QUIET = 0.1
"""Seconds after which what has not come does not come."""


@pytest.fixture(params=[pytest.param(name, marks=GROUPS.get(name, ())) for name in SITES])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """One bus after the other."""
    async with SITES[request.param](request) as opened:
        yield opened


def listen(bus: Bus, address: Address) -> list[BusMessage]:
    """What comes there from now on, but for what an agent says: qpidd has one of its own."""
    heard: list[BusMessage] = []
    bus.subscribe(address, lambda message: None if "qmf.agent" in dict(message.headers) else heard.append(message))
    return heard


def texts(messages: list[BusMessage]) -> list[str]:
    return [message.body.decode() for message in messages]


async def test_what_is_published_comes_to_all_whose_pattern_covers_it_and_to_the_sender_too(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    everything, events, none = (
        listen(a, Address(TOPIC, "agent.#")),
        listen(b, Address(TOPIC, "agent.*.event")),
        listen(b, Address(TOPIC, "console.#")),
    )
    await site.settled(a)
    await site.settled(b)
    await a.send(Address(TOPIC, "agent.ind.event"), BusMessage(b"1"), soon(), COMMAND)
    await a.send(Address(TOPIC, "agent.ind.data.x"), BusMessage(b"2"), soon(), INDICATION)
    await eventually(lambda: (texts(everything), texts(events)) == (["1", "2"], ["1"]))
    await asyncio.sleep(QUIET)
    assert none == []
    assert everything[0].to == Address(TOPIC, "agent.ind.event")


async def test_what_is_sent_to_one_comes_to_no_other(site: Site) -> None:
    a, b, c = [await site.join(name) for name in "abc"]
    to_b, to_c = listen(b, b.own), listen(c, c.own)
    await site.settled(b)
    await site.settled(c)
    await a.send(b.own, BusMessage(b"for b"), soon(), COMMAND)
    await eventually(lambda: texts(to_b) == ["for b"])
    await asyncio.sleep(QUIET)
    assert to_c == []


async def test_a_key_of_the_direct_exchange_is_no_pattern(site: Site) -> None:
    a = await site.join("a")
    heard = listen(a, Address(DIRECT, "fencebus:libvirt-qmf:#"))
    exact = listen(a, Address(DIRECT, "fencebus:libvirt-qmf:hosta"))
    await site.settled(a)
    await a.send(Address(DIRECT, "fencebus:libvirt-qmf:hosta"), BusMessage(), soon(), COMMAND)
    await eventually(lambda: len(exact) == 1)
    await asyncio.sleep(QUIET)
    assert heard == []


async def test_a_message_arrives_as_it_was_sent(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    sent = BusMessage(
        b"\x00\x00\x00\x04\x00\x00\x00\x00",
        MAP,
        (("qmf.opcode", "_query_request"), ("partial", None), ("number", 7), ("bytes", b"\xff"), ("yes", True)),
        reply_to=a.own,
        correlation_id="1795371775",
        app_id="qmf2",
        ttl=60.0,
    )
    await a.send(b.own, sent, soon(), COMMAND)
    await eventually(lambda: len(heard) == 1)
    user, left = "a" * site.vouches, heard[0].ttl
    assert left is not None
    assert 0.0 < left <= 60.0  # a broker may count how long it had the message: qpidd does
    assert replace(heard[0], app_id="qmf2", headers=(), ttl=60.0) == replace(sent, to=b.own, user_id=user, headers=())
    assert set(heard[0].headers) == set(sent.headers)


async def test_an_answer_finds_who_asked(site: Site) -> None:
    asker, answerer = await site.join("asker"), await site.join("answerer")
    answers, questions = listen(asker, asker.own), listen(answerer, answerer.own)
    await site.settled(asker)
    await site.settled(answerer)
    await asker.send(answerer.own, BusMessage(b"?", reply_to=asker.own, correlation_id="5"), soon(), COMMAND)
    await eventually(lambda: bool(questions))
    asked = questions[0]
    assert asked.reply_to is not None
    await answerer.send(asked.reply_to, BusMessage(b"!", correlation_id=asked.correlation_id), soon(), COMMAND)
    await eventually(lambda: [(answer.body, answer.correlation_id) for answer in answers] == [(b"!", "5")])


async def test_what_one_sends_to_another_comes_in_order(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    for number in range(100):
        await a.send(b.own, BusMessage(str(number).encode()), soon(), COMMAND)
    await eventually(lambda: len(heard) == 100)
    assert texts(heard) == [str(number) for number in range(100)]


async def test_a_large_body_arrives_whole(site: Site) -> None:
    a = await site.join("a")
    heard = listen(a, a.own)
    await site.settled(a)
    body = bytes(range(256)) * 4096
    await a.send(a.own, BusMessage(body, "application/octet-stream"), soon(), COMMAND)
    await eventually(lambda: [message.body for message in heard] == [body])


async def test_nobody_speaks_in_anothers_name(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    with contextlib.suppress(BusRefused):
        await a.send(b.own, BusMessage(user_id="admin"), soon(), COMMAND)
    await a.send(b.own, BusMessage(b"last"), soon(), COMMAND)
    await eventually(lambda: "last" in texts(heard))
    assert {message.user_id for message in heard} == {"a" * site.vouches}


async def test_an_exchange_that_does_not_exist_is_refused_and_the_connection_lives_on(site: Site) -> None:
    a = await site.join("a")
    heard = listen(a, a.own)
    await site.settled(a)
    with pytest.raises(BusRefused):
        await a.send(Address("no.such.exchange", "key"), BusMessage(), soon(), COMMAND)
    with pytest.raises(BusRefused):
        await a.send(Address(TOPIC, "k" * 256), BusMessage(), soon(), COMMAND)
    await a.send(a.own, BusMessage(b"alive"), soon(), COMMAND)
    await eventually(lambda: texts(heard) == ["alive"])


async def test_to_send_where_nobody_listens_is_no_error(site: Site) -> None:
    a = await site.join("a")
    await a.send(Address(DIRECT, "nobody"), BusMessage(), soon(), COMMAND)
    assert a.dropped == 0


async def test_two_clients_have_two_addresses_and_so_has_one_that_starts_again(site: Site) -> None:
    a, again, b = await site.join("a"), await site.join("a"), await site.join("b")
    assert len({a.own, again.own, b.own}) == 3


async def test_what_was_sent_before_a_client_came_never_comes(site: Site) -> None:
    a = await site.join("a")
    await a.send(Address(TOPIC, "agent.ind.event"), BusMessage(b"early"), soon(), COMMAND)
    b = await site.join("b")
    heard = listen(b, Address(TOPIC, "agent.#"))
    await site.settled(b)
    await a.send(Address(TOPIC, "agent.ind.event"), BusMessage(b"late"), soon(), COMMAND)
    await eventually(lambda: bool(heard))
    assert texts(heard) == ["late"]


async def test_a_lost_connection_is_told_and_comes_back_with_all_subscriptions(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    states: list[BusState] = []
    b.watch(lambda state, _reason: states.append(state))
    heard = listen(b, b.own)
    await site.settled(b)
    await site.cut("b")
    await eventually(lambda: states == [BusState.LOST])
    await a.send(b.own, BusMessage(b"missed"), soon(), COMMAND)
    await site.mend("b")
    await eventually(lambda: states == [BusState.LOST, BusState.CONNECTED])
    await site.settled(b)
    await a.send(b.own, BusMessage(b"heard"), soon(), COMMAND)
    await eventually(lambda: bool(heard))
    assert texts(heard) == ["heard"]


async def test_without_a_connection_a_command_fails_at_its_deadline_and_is_not_sent_later(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    await site.cut("a")
    with pytest.raises(BusUnreachable):
        await a.send(b.own, BusMessage(b"late"), soon(0.05), COMMAND)
    with pytest.raises(BusUnreachable):
        await a.wait_connected(soon(0.05))
    await site.mend("a")
    await a.wait_connected(soon())
    await a.send(b.own, BusMessage(b"in time"), soon(), COMMAND)
    await eventually(lambda: bool(heard))
    assert texts(heard) == ["in time"]


async def test_a_command_waits_for_the_connection_and_an_indication_is_dropped(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    await site.cut("a")
    await a.send(b.own, BusMessage(b"indication"), soon(), INDICATION)
    command = asyncio.create_task(a.send(b.own, BusMessage(b"command"), soon(), COMMAND))
    await asyncio.sleep(QUIET)
    assert not command.done()
    await site.mend("a")
    await command
    await eventually(lambda: bool(heard))
    assert texts(heard) == ["command"]
    assert a.dropped == 1


async def test_a_command_waits_for_room_and_an_indication_is_dropped(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    await site.clog(True)
    with pytest.raises(BusCongested):
        await a.send(b.own, BusMessage(b"too late"), soon(0.05), COMMAND)
    command = asyncio.create_task(a.send(b.own, BusMessage(b"command"), soon(), COMMAND))
    while a.dropped == 0:  # a bus may have some room of its own before it drops
        await a.send(b.own, BusMessage(b"indication"), soon(), INDICATION)
        await asyncio.sleep(0)
    await site.clog(False)
    await command
    await eventually(lambda: "command" in texts(heard))
    assert "too late" not in texts(heard)


async def test_after_its_deadline_nothing_is_sent(site: Site) -> None:
    a = await site.join("a")
    heard = listen(a, a.own)
    await site.settled(a)
    with pytest.raises(BusUnreachable):
        await a.send(a.own, BusMessage(b"late"), Deadline.after(-1.0), COMMAND)
    await asyncio.sleep(QUIET)
    assert heard == []


async def test_a_sink_that_fails_takes_no_message_from_another(site: Site) -> None:
    a = await site.join("a")
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context["exception"]))

    def fail(_message: BusMessage) -> None:
        raise ZeroDivisionError

    a.subscribe(a.own, fail)
    heard = listen(a, a.own)
    await site.settled(a)
    for text in (b"1", b"2"):
        await a.send(a.own, BusMessage(text), soon(), COMMAND)
    await eventually(lambda: texts(heard) == ["1", "2"])
    assert all(isinstance(complaint, ZeroDivisionError) for complaint in complaints)


async def test_a_closed_bus_is_gone_and_says_so(site: Site) -> None:
    a, b = await site.join("a"), await site.join("b")
    heard = listen(b, b.own)
    await site.settled(b)
    await b.close()
    await b.close()
    await a.send(b.own, BusMessage(), soon(), COMMAND)
    for priority in Priority:
        with pytest.raises(BusClosed):
            await b.send(a.own, BusMessage(), soon(), priority)
    await asyncio.sleep(QUIET)
    assert heard == []
