"""Amqp1Bus alone on a real RabbitMQ: links that end by themselves, and a silence that holds back what comes after."""

from __future__ import annotations

import gc

import pytest

from fencebus_agent.amqp1_bus import Amqp1Bus
from fencebus_agent.bus import Address, BusCongested, BusMessage, BusRefused, BusState, Priority
from fencebus_agent.bus_terms import Terms
from tests.amqp1_site import make_exchanges, url
from tests.bus_clients import numbers
from tests.hypervisors import eventually, soon
from tests.rabbitmq import RabbitMq
from tests.rabbitmq_site import running

pytestmark = pytest.mark.xdist_group("rabbitmq")

COMMAND, INDICATION = Priority.COMMAND, Priority.INDICATION
PATIENT = Terms(connect_timeout=15.0)


@pytest.fixture(autouse=True)
async def exchanges(rabbitmq: RabbitMq) -> None:
    """Made, as a client of AMQP 1.0 cannot make them."""
    await make_exchanges(rabbitmq)


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


async def test_to_a_broker_that_is_silent_about_what_it_was_given_nothing_more_is_given(rabbitmq: RabbitMq) -> None:
    bus = Amqp1Bus(url(rabbitmq), Terms(heartbeat=20.0, connect_timeout=15.0))
    heard = numbers(bus)
    async with running(bus):
        with rabbitmq.frozen():
            with pytest.raises(BusCongested, match="not confirmed until the deadline"):
                await bus.send(bus.own, BusMessage(b"1"), soon(0.7), COMMAND)
            with pytest.raises(BusCongested, match="not sent: the broker says nothing"):
                await bus.send(bus.own, BusMessage(b"2"), soon(0.1), COMMAND)
        await bus.send(bus.own, BusMessage(b"3"), soon(), COMMAND)
        await eventually(lambda: heard == [1, 3], 20)
