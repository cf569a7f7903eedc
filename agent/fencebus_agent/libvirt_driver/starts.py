"""Decides whether a start may still be under way, long after whoever asked for it has given up.

A create() that hangs in libvirt beyond its deadline may succeed minutes later.  Until it has come back, "shut off,
and no process" says nothing: an off that believed it would be answered while the VM is about to run (S12).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid

PAUSE = 0.02  # seconds between two looks; only a start that hangs makes anybody wait


class Starts:
    """The starts that libvirt has been given and has not answered."""

    def __init__(self) -> None:
        self._under_way: Counter[Uuid] = Counter()

    @contextmanager
    def under_way(self, vm: Uuid) -> Iterator[None]:
        """Around the call to libvirt, in the thread that makes it."""
        self._under_way[vm] += 1
        try:
            yield
        finally:
            self._under_way[vm] -= 1

    def pending(self, vm: Uuid) -> bool:
        """True while a start of the VM is under way."""
        return self._under_way[vm] > 0

    async def settled(self, vm: Uuid, deadline: Deadline) -> bool:
        """Wait until no start of the VM is under way; False if that took until the deadline."""
        while self._under_way[vm]:
            if deadline.expired:
                return False
            await asyncio.sleep(min(PAUSE, deadline.remaining()))
        return True
