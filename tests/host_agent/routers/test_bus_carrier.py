"""What the carrier over a bus says of what is in its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_host.routers.federated.bus_carrier import BusCarrier
from fencebus_host.routers.federated.carrier import Link
from fencebus_schemas.model import HostId, Incarnation, Reason, RequestId, Uuid
from fencebus_schemas.peer import EVERYONE, FenceAnswer, Lift, Message, StartAnswer
from tests.hypervisors import eventually, soon

HERE, THERE = HostId("here"), HostId("there")
LIFT = Lift(
    HERE, Incarnation("b", "m", "n"), EVERYONE, RequestId("1" * 32), Uuid("1" * 8 + "-0000-4000-8000-" + "0" * 12)
)


@asynccontextmanager
async def carrying(carrier: BusCarrier, heard: list[Message]) -> AsyncIterator[None]:
    task = asyncio.create_task(carrier.run(heard.append, lambda: None))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def carrier(broker: MemoryBroker, host: HostId, key: bytes = b"k") -> BusCarrier:
    return BusCarrier(host, MemoryBus(broker, host), (key,))


async def test_until_it_is_connected_it_says_so_and_then_it_is_well() -> None:
    one = carrier(MemoryBroker(), HERE)
    assert "not connected yet" in str(one.trouble)
    assert not one.link.is_up
    async with carrying(one, []):
        await eventually(lambda: one.trouble is None)
        assert one.link == Link(one.bus.name, True)


async def test_hosts_with_different_keys_hear_nothing_of_each_other_and_say_so() -> None:
    broker, heard = MemoryBroker(), list[Message]()
    one, other = carrier(broker, HERE, b"k"), carrier(broker, THERE, b"another")
    async with carrying(one, []), carrying(other, heard):
        await eventually(lambda: one.trouble is None and other.trouble is None)
        one.send(LIFT)
        await eventually(lambda: other.trouble is not None)
        assert "signs with another key" in str(other.trouble)
        assert other.link.is_up, "the bus is there, and it is not at fault"
        other.renew((b"another", b"k"))
        one.send(LIFT)
        await eventually(lambda: heard == [LIFT])


async def test_a_host_speaks_for_no_other_where_the_broker_says_who_it_is(caplog: pytest.LogCaptureFixture) -> None:
    broker, heard = MemoryBroker(), list[Message]()
    speakers = [BusCarrier(HERE, MemoryBus(broker, f"by {user}", user), (b"k",)) for user in (HERE, "shared", THERE)]
    listener = BusCarrier(THERE, MemoryBus(broker, THERE, THERE), (b"k",), hosts=(HERE, THERE))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(carrying(listener, heard))
        for speaker in speakers:
            await stack.enter_async_context(carrying(speaker, []))
            await speaker.bus.wait_connected(soon())
            speaker.send(LIFT)
        await eventually(lambda: listener.trouble is not None)
    assert heard == [LIFT, LIFT]
    assert listener.trouble == "messages of here come by the login of there"
    assert "a message of here on the bus was dropped: it came by the login of there" in caplog.text


async def test_it_may_run_again_and_hears_everything_once() -> None:
    broker, heard = MemoryBroker(), list[Message]()
    one, other = carrier(broker, HERE), carrier(broker, THERE)
    async with carrying(other, []):
        pass
    async with carrying(one, []), carrying(other, heard):
        await eventually(lambda: one.trouble is None and other.trouble is None)
        one.send(LIFT)
        await eventually(lambda: bool(heard))
        await asyncio.sleep(0.05)
        assert heard == [LIFT]


async def test_an_order_that_is_refused_is_worth_a_line_and_one_that_is_carried_out_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    one = carrier(MemoryBroker(), HERE)
    told = FenceAnswer(HERE, LIFT.incarnation, THERE, LIFT.request, "token", None, Reason.STALE_COMMAND)
    async with carrying(one, []):
        for _ in range(20):
            one.send(told)
        one.send(replace(told, refusal=None))
        one.send(StartAnswer(HERE, LIFT.incarnation, THERE, LIFT.request, "token", None, Reason.DENIED, "not here"))
        await asyncio.sleep(0)
    said = [
        f"an order of there was refused: request={LIFT.request} reason={word}" for word in ("stale-command", "denied")
    ]
    assert [caplog.text.count(line) for line in said] == [1, 1]
    assert caplog.text.count("was refused") == 2


async def test_what_is_not_sent_is_worth_one_line(caplog: pytest.LogCaptureFixture) -> None:
    one = carrier(MemoryBroker(), HERE)
    await one.bus.close()
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            one.send(LIFT)
        await asyncio.sleep(0.05)
    assert caplog.text.count("was not sent") == 1
