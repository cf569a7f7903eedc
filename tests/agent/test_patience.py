"""Waiting for an event until a deadline."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.patience import set_by
from fencebus_schemas.deadline import Deadline
from tests.hypervisors import soon


async def test_what_happens_in_time_is_seen_and_what_does_not_is_missed() -> None:
    event = asyncio.Event()
    assert not await set_by(event, soon(0.01))
    asyncio.get_running_loop().call_later(0.01, event.set)
    assert await set_by(event, soon())


async def test_what_has_happened_counts_though_the_deadline_has_passed() -> None:
    event = asyncio.Event()
    assert not await set_by(event, Deadline.after(-1.0))
    event.set()
    assert await set_by(event, Deadline.after(-1.0))


async def test_what_happened_in_time_counts_though_it_is_over_when_whoever_waited_comes_to_run() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(set_by(event, soon()))
    await asyncio.sleep(0)
    event.set()
    event.clear()
    assert await waiting


@pytest.mark.parametrize("turns", range(4))
async def test_whoever_is_cancelled_in_the_very_moment_in_which_it_happens_is_cancelled(turns: int) -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(_go_on_after(event))
    await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()


async def _go_on_after(event: asyncio.Event) -> None:
    """As a task that ends with its cancellation alone."""
    await set_by(event, soon())
    await asyncio.Event().wait()
