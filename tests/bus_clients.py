"""Clients of a bus that is in trouble: what they hear, what they say of it, and what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator

import pytest

from fencebus_agent.bus import Bus, BusUnreachable
from tests.hypervisors import eventually, soon


def numbers(bus: Bus) -> list[int]:
    """What comes to a client's own address, as numbers."""
    heard: list[int] = []
    bus.subscribe(bus.own, lambda message: heard.append(int(message.body)))
    return heard


@contextlib.asynccontextmanager
async def trying(bus: Bus) -> AsyncIterator[None]:
    """It runs, whether it gets a connection or not."""
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def refusal(bus: Bus) -> str:
    """What it says about having no connection, once it has tried."""
    async with trying(bus), asyncio.timeout(30):
        while True:
            with pytest.raises(BusUnreachable) as raised:
                await bus.wait_connected(soon(0.05))
            if "not connected yet" not in str(raised.value):
                return str(raised.value)


def descriptors() -> int:
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))


async def nothing_left_behind(before: int) -> None:
    """No thread, and no more descriptors than before."""
    await eventually(lambda: not any(thread.name.startswith("kombu") for thread in threading.enumerate()), 30)
    await eventually(lambda: descriptors() <= before, 30)
