"""Amqp1Bus on a real RabbitMQ that refuses, freezes and dies; and what is left of a client that leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fencebus_agent.amqp1_bus import Amqp1Bus
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
from fencebus_schemas.bus_url import Tls
from tests.amqp1_site import make_exchanges, url
from tests.hypervisors import eventually, soon
from tests.managers.certificates import made
from tests.ports import free_tcp_port
from tests.rabbitmq import BOUNDED, SHUT, STRANGER, RabbitMq
from tests.rabbitmq_site import running

pytestmark = pytest.mark.xdist_group("rabbitmq")

COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION
TOPIC, DIRECT = topic_exchange(), direct_exchange()
PATIENT = Terms(connect_timeout=15.0)


@pytest.fixture(autouse=True)
async def exchanges(rabbitmq: RabbitMq) -> None:
    """Made, as a client of AMQP 1.0 cannot make them."""
    await make_exchanges(rabbitmq)


def numbers(bus: Amqp1Bus) -> list[int]:
    """What comes to a client's own address, as numbers."""
    heard: list[int] = []
    bus.subscribe(bus.own, lambda message: heard.append(int(message.body)))
    return heard


@contextlib.asynccontextmanager
async def trying(bus: Amqp1Bus) -> AsyncIterator[None]:
    """It runs, whether it gets a connection or not."""
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def refusal(bus: Amqp1Bus) -> str:
    """What it says about having no connection, once it has tried."""
    async with trying(bus), asyncio.timeout(30):
        while True:
            with pytest.raises(BusUnreachable) as raised:
                await bus.wait_connected(soon(0.05))
            if "not connected yet" not in str(raised.value):
                return str(raised.value)


@pytest.mark.parametrize(
    ("user", "password", "vhost", "said"),
    (
        ("a", "not-the-password", "", "the user or the password may be wrong"),
        ("a", "a", "/nowhere", "nowhere"),
        ("a", "a", f"/{SHUT}", "Access for user 'a' was refused"),
        (STRANGER, STRANGER, "", "Access for user 'stranger' was refused"),
        (BOUNDED, BOUNDED, "", "access to queue 'amq.gen-"),
    ),
)
async def test_what_the_broker_refuses_is_said_without_a_password(
    rabbitmq: RabbitMq, caplog: pytest.LogCaptureFixture, user: str, password: str, vhost: str, said: str
) -> None:
    bus = Amqp1Bus(url(rabbitmq, user, password) + vhost, PATIENT)
    text = await refusal(bus)
    assert said in text
    assert said in caplog.text
    assert "not-the-password" not in text + caplog.text + bus.name


async def test_what_the_broker_does_not_want_ends_one_link_and_not_the_connection(rabbitmq: RabbitMq) -> None:
    bus = Amqp1Bus(url(rabbitmq), PATIENT)
    heard, states = numbers(bus), list[BusState]()
    async with running(bus):
        bus.watch(lambda state, _reason: states.append(state))
        for number in range(30):
            with pytest.raises(BusRefused, match=r"no exchange 'qmf\.none\.topic'"):
                await bus.send(Address("qmf.none.topic", "key"), BusMessage(), soon(), COMMAND)
            await bus.send(Address("qmf.none.topic", "key"), BusMessage(), soon(), INDICATION)
            await bus.send(bus.own, BusMessage(b"%d" % number), soon(), COMMAND)
        with pytest.raises(BusRefused, match="no queue by its name"):
            await bus.send(Address("", "queue"), BusMessage(), soon(), COMMAND)
        await eventually(lambda: heard == list(range(30)))
        await eventually(lambda: bus.dropped == 30)
        gc.collect()
        await bus.send(bus.own, BusMessage(b"30"), soon(), COMMAND)
        assert states == []


async def test_one_who_asks_for_answers_everywhere_gets_them_at_so_many_places_and_no_more(rabbitmq: RabbitMq) -> None:
    bus = Amqp1Bus(url(rabbitmq), PATIENT)
    heard = numbers(bus)
    async with running(bus):
        for number in range(62):  # and its own two
            await bus.send(Address(f"qmf.none{number}.topic", "key"), BusMessage(), soon(), INDICATION)
        with pytest.raises(BusRefused, match="64 exchanges"):
            await bus.send(Address("qmf.more.topic", "key"), BusMessage(), soon(), COMMAND)
        await bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND)
        await eventually(lambda: heard == [1])


async def test_with_several_urls_the_first_one_that_answers_is_taken(rabbitmq: RabbitMq) -> None:
    dead = free_tcp_port()
    bus = Amqp1Bus(f"amqp1://a:secret@127.0.0.1:{dead},{url(rabbitmq)}", PATIENT)
    assert bus.name == f"amqp1://a@127.0.0.1:{dead},amqp1://a@127.0.0.1:{rabbitmq.port}"
    heard = numbers(bus)
    async with running(bus):
        await bus.send(bus.own, BusMessage(b"1"), soon(), COMMAND)
        await eventually(lambda: heard == [1])


async def test_tls_verifies_who_the_broker_is(rabbitmq: RabbitMq, tmp_path: Path) -> None:
    ca = rabbitmq.folder.parent / "certificates" / "ca.pem"
    there = f"amqp1s://a:a@localhost:{rabbitmq.tls_port}"
    bus = Amqp1Bus(there, Terms(tls=Tls(ca_file=str(ca)), connect_timeout=15.0))
    heard = numbers(bus)
    async with running(bus):
        for number in range(20):
            await bus.send(bus.own, BusMessage(b"%d" % number), soon(), COMMAND)
        await bus.send(bus.own, BusMessage(b"20" + b" " * 300_000), soon(), COMMAND)
        await eventually(lambda: heard == list(range(21)))
    other = made(tmp_path / "other").ca
    assert "certificate verify failed" in await refusal(Amqp1Bus(there, Terms(tls=Tls(ca_file=str(other)))))
    assert "certificate verify failed" in await refusal(Amqp1Bus(there))
    nowhere = Terms(tls=Tls(ca_file=str(tmp_path / "none.pem")))
    assert "No such file" in await refusal(Amqp1Bus(there, nowhere))


async def test_a_broker_that_freezes_leaves_commands_unconfirmed_and_goes_on_after(rabbitmq: RabbitMq) -> None:
    bus = Amqp1Bus(url(rabbitmq), Terms(heartbeat=20.0, connect_timeout=15.0))
    heard = numbers(bus)
    async with running(bus):
        with rabbitmq.frozen():
            with pytest.raises(BusCongested, match="not confirmed until the deadline"):
                await bus.send(bus.own, BusMessage(b"1"), soon(0.7), COMMAND)
            with pytest.raises(BusCongested, match="not sent: the broker says nothing"):
                await bus.send(bus.own, BusMessage(b"2"), soon(0.1), COMMAND)
            patient = asyncio.create_task(bus.send(bus.own, BusMessage(b"3"), soon(), COMMAND))
            await asyncio.sleep(0.1)
            assert not patient.done()
        await patient
        await eventually(lambda: heard == [1, 3], 20)


async def test_a_broker_that_says_nothing_for_two_heartbeats_is_lost(rabbitmq: RabbitMq) -> None:
    bus = Amqp1Bus(url(rabbitmq), Terms(heartbeat=0.7, connect_timeout=15.0))
    told: list[tuple[BusState, str]] = []
    bus.watch(lambda state, reason: told.append((state, reason)))
    async with running(bus):
        with rabbitmq.frozen():
            await eventually(lambda: BusState.LOST in [state for state, _ in told], 30)
            assert "idle-timeout" in told[-1][1]
            with pytest.raises(BusUnreachable):
                await bus.wait_connected(soon(0.1))
        await bus.wait_connected(soon(40))


async def test_a_broker_that_is_killed_takes_nothing_along_that_it_had_confirmed_and_nothing_comes_twice(
    rabbitmq: RabbitMq,
) -> None:
    a, b = Amqp1Bus(url(rabbitmq, "a"), PATIENT), Amqp1Bus(url(rabbitmq, "b"), PATIENT)
    heard, unsure = numbers(b), list[int]()
    async with running(a), running(b):

        async def send(number: int) -> None:
            try:
                await a.send(b.own, BusMessage(b"%d" % number), soon(0.5), COMMAND)
            except BusError:
                unsure.append(number)

        streaming = asyncio.gather(*map(send, range(300)))
        await eventually(lambda: bool(heard), 20)
        rabbitmq.kill()
        await streaming
        await eventually(lambda: a._link is None and b._link is None, 20)
        restarting = asyncio.create_task(asyncio.to_thread(rabbitmq.start))
        await a.send(b.own, BusMessage(b"1000"), soon(50), COMMAND)
        await restarting
        for bus in (a, b):
            await bus.wait_connected(soon(50))
        await a.send(b.own, BusMessage(b"1001"), soon(), COMMAND)
        await eventually(lambda: 1001 in heard, 20)
    assert len(set(heard)) == len(heard)
    assert heard == sorted(heard)


def descriptors() -> int:
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))


async def test_a_client_that_leaves_leaves_nothing_behind(rabbitmq: RabbitMq) -> None:
    before = descriptors()
    async with running(Amqp1Bus(url(rabbitmq), PATIENT)):
        assert descriptors() > before
    async with trying(Amqp1Bus(url(rabbitmq), PATIENT)):
        await asyncio.sleep(0)
    await eventually(lambda: descriptors() <= before)


async def test_a_client_ends_soon_though_nobody_answers_it() -> None:
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        bus = Amqp1Bus(f"amqp1://127.0.0.1:{deaf.getsockname()[1]}", Terms(connect_timeout=0.5))
        assert "no answer in time" in await refusal(bus)
    await eventually(lambda: descriptors() <= before)


async def test_a_client_that_leaves_a_frozen_broker_ends_too(rabbitmq: RabbitMq) -> None:
    before = descriptors()
    task = asyncio.create_task((bus := Amqp1Bus(url(rabbitmq), PATIENT)).run())
    await bus.wait_connected(soon())
    with rabbitmq.frozen():
        async with asyncio.timeout(15):
            await bus.close()
            await task
    await eventually(lambda: descriptors() <= before)


@pytest.mark.parametrize(
    "hostile",
    (
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"AMQP\x03\x01\x00\x00" + b"\xff" * 64,
        b"AMQP\x03\x01\x00\x00" + b"\x00\x00\x00\x08\x02\x01\x00\x00" * 3,
    ),
)
async def test_what_is_no_broker_is_left_again(hostile: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hostile)
        await asyncio.wait([asyncio.ensure_future(reader.read())], timeout=5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        text = await refusal(Amqp1Bus(f"amqp1://127.0.0.1:{port}", Terms(connect_timeout=2.0)))
    assert f"amqp1://127.0.0.1:{port}" in text
