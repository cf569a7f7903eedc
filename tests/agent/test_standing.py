"""How a client stands with its brokers, and what it says of that."""

from __future__ import annotations

import asyncio
import logging

import pytest

from fencebus_agent.bus import BusCongested, BusState, BusUnreachable
from fencebus_agent.outbox import Fate
from fencebus_agent.sinks import Sinks
from fencebus_agent.standing import Standing
from tests.hypervisors import soon

Told = list[tuple[BusState, str]]


@pytest.fixture
async def told() -> Told:
    """What a watcher has heard."""
    return []


@pytest.fixture
async def standing(told: Told) -> Standing:
    """One that is watched."""
    sinks = Sinks()
    sinks.watch(lambda state, reason: told.append((state, reason)))
    return Standing("amqp://b", sinks)


async def test_whoever_waits_goes_on_with_the_connection(standing: Standing, told: Told) -> None:
    waiting = asyncio.create_task(standing.wait(soon()))
    await asyncio.sleep(0)
    standing.came()
    await waiting
    await standing.wait(soon(-1.0))
    assert standing.connected
    assert told == [(BusState.CONNECTED, "")]


async def test_at_the_deadline_it_is_said_why_there_is_none(standing: Standing) -> None:
    with pytest.raises(BusUnreachable, match="amqp://b: no connection until the deadline: not connected yet"):
        await standing.wait(soon(0.01))
    standing.failed("amqp://b: refused")
    with pytest.raises(BusUnreachable, match="refused"):
        await standing.wait(soon(0.01))


async def test_the_same_failure_is_logged_once(standing: Standing, caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("refused", "refused", "silent", "refused"):
        standing.failed(reason)
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warned == [f"no connection to {reason}" for reason in ("refused", "silent", "refused")]


async def test_a_loss_is_told_with_its_reason_and_whoever_leaves_knows_it(standing: Standing, told: Told) -> None:
    standing.came()
    standing.went("idle-timeout")
    assert not standing.connected
    assert told[1:] == [(BusState.LOST, "idle-timeout")]
    standing.came()
    standing.leave()
    standing.went("closed")
    assert not standing.connected
    assert len(told) == 3
    standing.begin()
    standing.came()
    standing.went("again")
    assert told[-1] == (BusState.LOST, "again")


async def test_of_a_command_that_is_too_late_it_is_said_whether_it_may_arrive(standing: Standing) -> None:
    assert isinstance(standing.too_late(Fate.WAITING, ""), BusUnreachable)
    standing.came()
    for fate in (Fate.WRITTEN, Fate.SETTLED, Fate.WITHDRAWN):
        assert "it may arrive, or not" in str(standing.too_late(fate, "full"))
    waiting = standing.too_late(Fate.WAITING, "")
    assert isinstance(waiting, BusCongested)
    assert str(waiting) == "amqp://b: not sent: the broker is too slow"
    assert str(standing.too_late(Fate.WAITING, "it is full")) == "amqp://b: not sent: it is full"
