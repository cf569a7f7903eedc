"""Off and on through our router, as the daemon would have them done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fencebus_host.routers.ovirt.router import OvirtRouter
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life
from tests.managers.site import NODE1

T = TypeVar("T")


def yes(_life: Life | None) -> None:
    """Everything is allowed."""


async def until(look: Callable[[], T]) -> T:
    """What ``look`` returns as soon as that is true; fails if it is not within 30 seconds."""
    for _ in range(3000):
        if seen := look():
            return seen
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def off(router: OvirtRouter, target: str = NODE1, seconds: float = 5.0) -> Evidence:
    """Find and end a VM."""
    deadline = Deadline.after(seconds)
    found = await router.find(target, deadline)
    return await router.power_off(found.records[0].uuid, found, deadline, yes)


async def on(router: OvirtRouter, target: str, seconds: float = 5.0) -> Evidence:
    """Find and start a VM."""
    deadline = Deadline.after(seconds)
    found = await router.find(target, deadline)
    return await router.power_on(found.records[0].uuid, found, deadline, yes)
