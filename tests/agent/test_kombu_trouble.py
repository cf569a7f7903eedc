"""KombuBus on a real RabbitMQ that refuses, freezes, dies or is full; and what is left of a client that leaves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import kombu
import pytest

from fencebus_agent.bus import (
    Address,
    BusCongested,
    BusError,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    Priority,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from fencebus_schemas.bus_url import AMQP_0, Tls, brokers
from tests.hypervisors import eventually, soon
from tests.managers.certificates import made
from tests.ports import free_tcp_port
from tests.rabbitmq import BOUNDED, SHUT, STRANGER, RabbitMq
from tests.rabbitmq_site import running

pytestmark = pytest.mark.xdist_group("rabbitmq")

COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION
TOPIC, DIRECT = topic_exchange(), direct_exchange()


def numbers(bus: KombuBus) -> list[int]:
    """What comes to a client's own address, as numbers."""
    heard: list[int] = []
    bus.subscribe(bus.own, lambda message: heard.append(int(message.body)))
    return heard


@contextlib.asynccontextmanager
async def trying(bus: KombuBus) -> AsyncIterator[None]:
    """It runs, whether it gets a connection or not."""
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def refusal(bus: KombuBus) -> str:
    """What it says about having no connection, once it has tried."""
    async with trying(bus), asyncio.timeout(15):
        while True:
            with pytest.raises(BusUnreachable) as raised:
                await bus.wait_connected(soon(0.05))
            if "not connected yet" not in str(raised.value):
                return str(raised.value)


@pytest.mark.parametrize(
    ("user", "password", "vhost", "said"),
    (
        ("a", "not-the-password", "", "ACCESS_REFUSED"),
        ("nobody", "not-the-password", "", "ACCESS_REFUSED"),
        ("a", "a", "/nowhere", "vhost nowhere not found"),
        ("a", "a", f"/{SHUT}", "vhost 'shut' refused for user 'a'"),
        (STRANGER, STRANGER, "", "refused for user 'stranger'"),
    ),
)
async def test_what_the_broker_refuses_is_said_without_a_password(
    rabbitmq: RabbitMq, caplog: pytest.LogCaptureFixture, user: str, password: str, vhost: str, said: str
) -> None:
    bus = KombuBus(rabbitmq.url(user, password, vhost=vhost))
    text = await refusal(bus)
    assert said in text
    assert said in caplog.text
    assert "not-the-password" not in text + caplog.text + bus.name


async def test_a_host_without_the_right_to_make_exchanges_uses_those_that_are_there(rabbitmq: RabbitMq) -> None:
    async with running(KombuBus(rabbitmq.url("a"))):  # makes them
        bus = KombuBus(rabbitmq.url(BOUNDED), Terms(client="bounded"))
        heard = numbers(bus)
        bus.subscribe(Address(TOPIC, "numbers"), lambda message: heard.append(int(message.body)))
        async with running(bus):
            await bus.send(Address(TOPIC, "numbers"), BusMessage(b"1"), soon(), COMMAND)
            with pytest.raises(BusRefused, match=r"qmf\.default\.direct"):
                await bus.send(bus.own, BusMessage(b"2"), soon(), COMMAND)
            await bus.send(bus.own, BusMessage(b"3"), soon(), INDICATION)
            await bus.send(Address(TOPIC, "numbers"), BusMessage(b"4"), soon(), COMMAND)
            await eventually(lambda: heard == [1, 4])
            await eventually(lambda: bus.dropped == 1)


async def test_with_several_urls_the_first_one_that_answers_is_taken(rabbitmq: RabbitMq) -> None:
    dead = free_tcp_port()
    bus = KombuBus(f"amqp://a:secret@127.0.0.1:{dead},{rabbitmq.url('a')}")
    assert bus.name == f"amqp://a@127.0.0.1:{dead},amqp://a@127.0.0.1:{rabbitmq.port}"
    heard = numbers(bus)
    async with running(bus):
        await bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND)
        await eventually(lambda: heard == [1])


async def test_tls_verifies_who_the_broker_is(rabbitmq: RabbitMq, tmp_path: Path) -> None:
    ca = rabbitmq.folder.parent / "certificates" / "ca.pem"
    url = f"amqps://a:a@localhost:{rabbitmq.tls_port}"
    bus = KombuBus(url, Terms(tls=Tls(ca_file=str(ca))))
    heard = numbers(bus)
    async with running(bus):
        for number in range(50):
            await bus.send(bus.own, BusMessage(b"%d" % number), soon(), COMMAND)
        await bus.send(bus.own, BusMessage(b"50" + b" " * 300_000), soon(), COMMAND)
        await eventually(lambda: heard == list(range(51)))
    other = made(tmp_path / "other").ca
    assert "certificate verify failed" in await refusal(KombuBus(url, Terms(tls=Tls(ca_file=str(other)))))
    assert "certificate verify failed" in await refusal(KombuBus(url))
    named = f"amqps://a:a@127.0.0.2:{rabbitmq.tls_port}"  # it listens on 127.0.0.1 alone
    assert "refused" in await refusal(KombuBus(named, Terms(tls=Tls(ca_file=str(ca)))))


async def test_a_broker_that_freezes_leaves_commands_unconfirmed_and_goes_on_after(rabbitmq: RabbitMq) -> None:
    bus = KombuBus(rabbitmq.url("a"))
    heard = numbers(bus)
    async with running(bus):
        with rabbitmq.frozen():
            with pytest.raises(BusCongested, match="not confirmed until the deadline"):
                await bus.send(bus.own, BusMessage(b"1"), soon(0.3), COMMAND)
            patient = asyncio.create_task(bus.send(bus.own, BusMessage(b"2"), soon(), COMMAND))
            await asyncio.sleep(0.2)
            assert not patient.done()
        await patient
        await eventually(lambda: heard == [1, 2])


async def test_a_broker_that_says_nothing_for_two_heartbeats_is_lost(rabbitmq: RabbitMq) -> None:
    bus = KombuBus(rabbitmq.url("a"), Terms(heartbeat=1.0, connect_timeout=0.5))
    told: list[tuple[BusState, str]] = []
    bus.watch(lambda state, reason: told.append((state, reason)))
    async with running(bus):
        with rabbitmq.frozen():
            await eventually(lambda: len(told) == 2, 8)
            assert told[1][0] is BusState.LOST
            assert "heartbeats" in told[1][1]
            with pytest.raises(BusUnreachable):
                await bus.wait_connected(soon(0.1))
        await eventually(lambda: [state for state, _ in told][2:] == [BusState.CONNECTED], 8)


async def test_while_the_broker_is_full_a_client_still_hears_and_its_new_subscriptions_wait(rabbitmq: RabbitMq) -> None:
    bus = KombuBus(rabbitmq.url("a"))
    heard = numbers(bus)
    async with running(bus):
        try:
            rabbitmq.alarm(True)
            while not bus._blocked:  # it is told with the first message that it sends
                await bus.send(Address(DIRECT, "nobody"), BusMessage(), soon(), INDICATION)
                await asyncio.sleep(0.01)
            with pytest.raises(BusCongested, match="short of memory"):
                await bus.send(bus.own, BusMessage(b"1"), soon(0.05), COMMAND)
            later: list[BusMessage] = []
            bus.subscribe(Address(TOPIC, "later"), later.append)
            waiting = asyncio.create_task(bus.send(bus.own, BusMessage(b"2"), soon(), COMMAND))
            await asyncio.sleep(0.1)
            assert not waiting.done()
        finally:
            rabbitmq.alarm(False)
        await waiting
        await eventually(lambda: heard == [2])
        while not later:
            await bus.send(Address(TOPIC, "later"), BusMessage(), soon(), COMMAND)
            await asyncio.sleep(0.01)


async def test_a_broker_that_is_killed_takes_nothing_along_that_it_had_confirmed_and_nothing_comes_twice(
    rabbitmq: RabbitMq,
) -> None:
    a, b = KombuBus(rabbitmq.url("a")), KombuBus(rabbitmq.url("b"))
    heard, unsure = numbers(b), list[int]()
    async with running(a), running(b):

        async def send(number: int) -> None:
            try:
                await a.send(b.own, BusMessage(b"%d" % number), soon(0.5), COMMAND)
            except BusError:
                unsure.append(number)

        streaming = asyncio.gather(*map(send, range(300)))
        await eventually(lambda: bool(heard))
        rabbitmq.kill()
        await streaming
        restarting = asyncio.create_task(asyncio.to_thread(rabbitmq.start))
        await a.send(b.own, BusMessage(b"1000"), soon(30), COMMAND)
        await restarting
        for bus in (a, b):
            await bus.wait_connected(soon())
        await a.send(b.own, BusMessage(b"1001"), soon(), COMMAND)
        await eventually(lambda: 1001 in heard)
    # A queue of its own dies with a broker; what was confirmed, and not yet here, dies with it.
    assert len(set(heard)) == len(heard)
    assert heard == sorted(heard)


def sent_by_a_stranger(url: str, to: Address) -> None:
    """Messages that no client of ours would send."""
    (broker,) = brokers(url, AMQP_0)
    transport = kombu.Connection(
        broker.host, userid=broker.user, password=broker.password, port=broker.port, transport_options={}
    ).transport
    connection = transport.establish_connection()
    channel = connection.channel()
    nested = {"list": [1, {"x": [None]}], "float": 1.5, "partial": None, "when": datetime(2026, 1, 1, tzinfo=UTC)}
    for body, encoding, headers in (
        (b"caf\xc3\xa9", "utf-8", nested),
        (b"789c", "hex", {}),
        (b"", "rot13", {"": ""}),
    ):
        reply_to = {"reply_to": "/" * 255, "message_id": "\x00", "type": "amqp-1.0"}
        message = channel.prepare_message(
            body, content_type="text/plain", content_encoding=encoding, headers=headers, properties=reply_to
        )
        channel.basic_publish(message, to.exchange, to.key)
    transport.close_connection(connection)


async def test_what_strangers_send_comes_as_the_bytes_that_it_is_and_harms_nobody(rabbitmq: RabbitMq) -> None:
    bus, heard, told = KombuBus(rabbitmq.url("a")), list[BusMessage](), list[BusState]()
    bus.subscribe(bus.own, heard.append)
    async with running(bus):
        bus.watch(lambda state, _reason: told.append(state))
        await asyncio.to_thread(sent_by_a_stranger, rabbitmq.url("b"), bus.own)
        await eventually(lambda: len(heard) == 3)
        assert [message.body for message in heard] == [b"caf\xc3\xa9", b"789c", b""]
        assert {message.user_id for message in heard} == {""}  # nobody is vouched for who does not ask for it
        assert heard[0].headers == (("partial", None),)
        await bus.send(bus.own, BusMessage(b"alive"), soon(), COMMAND)
        await eventually(lambda: len(heard) == 4)
        assert told == []


def descriptors() -> int:
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))


async def nothing_left_behind(before: int) -> None:
    """No thread, and no more descriptors than before."""
    await eventually(lambda: "kombu" not in [thread.name for thread in threading.enumerate()])
    await eventually(lambda: descriptors() <= before)


async def test_a_client_that_leaves_leaves_nothing_behind(rabbitmq: RabbitMq) -> None:
    before = descriptors()
    async with running(KombuBus(rabbitmq.url("a"))):
        assert descriptors() > before
    async with trying(KombuBus(rabbitmq.url("a"))):
        await asyncio.sleep(0)
    await nothing_left_behind(before)


async def test_a_client_ends_soon_though_nobody_answers_it() -> None:
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        bus = KombuBus(f"amqp://127.0.0.1:{deaf.getsockname()[1]}", Terms(connect_timeout=0.5))
        async with trying(bus), asyncio.timeout(3):
            await asyncio.sleep(0.2)
    await nothing_left_behind(before)


async def test_a_client_that_leaves_a_frozen_broker_ends_too(rabbitmq: RabbitMq) -> None:
    before = descriptors()
    task = asyncio.create_task((bus := KombuBus(rabbitmq.url("a"))).run())
    await bus.wait_connected(soon())
    with rabbitmq.frozen():
        async with asyncio.timeout(4):
            await bus.close()
            await task
    await nothing_left_behind(before)
