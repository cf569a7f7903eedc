"""KombuBus alone on a real RabbitMQ: exchanges that it may not make, a broker that is full, and what strangers send."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import kombu
import pytest

from fencebus_agent.bus import (
    Address,
    BusCongested,
    BusMessage,
    BusRefused,
    BusState,
    Priority,
    direct_exchange,
    topic_exchange,
)
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from fencebus_schemas.bus_url import AMQP_0, brokers
from tests.bus_clients import numbers
from tests.hypervisors import eventually, soon
from tests.rabbitmq import BOUNDED, RabbitMq
from tests.rabbitmq_site import running

pytestmark = pytest.mark.xdist_group("rabbitmq")

COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION
TOPIC, DIRECT = topic_exchange(), direct_exchange()


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
