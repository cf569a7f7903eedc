"""What is wanted comes: bindings stand before anybody relies on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fencebus_agent.bus import Address, BusMessage, BusState, Priority, direct_exchange
from tests.agent.broker_by_script import BIND_OK, Scripted, client, ended, late_with, method, scripted
from tests.hypervisors import eventually, soon
from tests.rabbitmq_site import running

COMMAND = Priority.COMMAND


@pytest.fixture
async def broker() -> AsyncIterator[Scripted]:
    async with scripted() as broker:
        yield broker


async def test_nobody_is_told_of_a_connection_before_all_that_is_wanted_comes_by_it(broker: Scripted) -> None:
    bus, wanted, held = client(broker), Address(direct_exchange(), "wanted"), list[int]()

    broker.instead = late_with(b"wanted", held)
    bus.subscribe(wanted, lambda _message: None)
    states = list[BusState]()
    bus.watch(lambda state, _reason: states.append(state))
    task = asyncio.create_task(bus.run())
    await eventually(lambda: bool(held))
    await asyncio.sleep(0.05)
    assert states == []
    broker.say(method(held[0], BIND_OK))
    await bus.wait_connected(soon())
    assert states == [BusState.CONNECTED]
    await bus.close()
    await ended(task)


async def test_what_was_wanted_before_a_message_was_sent_is_bound_before_it(broker: Scripted) -> None:
    bus, held = client(broker), list[int]()

    broker.instead = late_with(b"answers", held)
    async with running(bus):
        await bus.send(bus.own, BusMessage(b"first"), soon(), COMMAND)  # its exchange is known now

        async def ask() -> None:
            bus.subscribe(Address(direct_exchange(), "answers"), lambda _message: None)
            await bus.send(bus.own, BusMessage(b"question"), soon(), COMMAND)

        asking = asyncio.create_task(ask())
        await eventually(lambda: bool(held))
        await asyncio.sleep(0.05)
        assert broker.bodies == [b"first"]
        broker.say(method(held[0], BIND_OK))
        await asking
    assert broker.bodies == [b"first", b"question"]
