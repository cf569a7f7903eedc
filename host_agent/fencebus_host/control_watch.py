"""Keeps the view of who has what up to date, and tells of each change: at a hypervisor's event, and now and then.

A shell around ``control_view``.  Where the router has a picture of all hosts in memory it is read each second; where
each VM has to be asked for, after events, and otherwise seldom.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.hypervisor import DomainEvent, HypervisorError
from fencebus_host.control_events import Events
from fencebus_host.control_members import members_of
from fencebus_host.control_view import View, Viewer
from fencebus_host.ownership import Ownership
from fencebus_host.ports import Router
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import FenceOutcome, FenceRequest, HostId, Uuid, VmRecord
from fencebus_schemas.status import HostState, HostStatus

log = logging.getLogger(__name__)

GLANCE_SECONDS = 1.0
"""Between two readings of a picture in memory."""
READ_SECONDS = 30.0
"""Between two readings of a hypervisor that has not reported anything."""
PAUSE_SECONDS = 0.1
"""Between two readings at least, however many events there are."""
PATIENCE = 5.0


class Eyes(Protocol):
    """What a host can look at."""

    async def look(self) -> Seen:
        """What is there now.  Raises HypervisorError where that cannot be said."""

    @property
    def pause(self) -> float:
        """Seconds between two looks without a cause."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look has brought."""

    records: Iterable[VmRecord]
    hosts: Sequence[HostStatus]
    unread: tuple[str, ...] = ()
    """As in ``View``."""


class AskingEyes:
    """Where each VM has to be asked for: a hypervisor's or a manager's list."""

    pause = READ_SECONDS

    def __init__(self, host: HostId, router: Router) -> None:
        self._host, self._router = host, router

    async def look(self) -> Seen:
        """See ``Eyes``."""
        records = await self._router.list(Deadline.after(PATIENCE))
        return Seen(records, (HostStatus(self._host, HostState.HERE, heard_ago=0.0),))


class PictureEyes:
    """Where all that is known of all hosts is in memory."""

    pause = GLANCE_SECONDS

    def __init__(self, host: HostId, ownership: Ownership, clock: Clock = boottime) -> None:
        self._host, self._ownership, self._clock = host, ownership, clock

    async def look(self) -> Seen:
        """See ``Eyes``."""
        now = self._clock()
        hosts = members_of(self._ownership, self._host, now)
        return Seen(list(self._ownership.everything()), hosts, self._ownership.unread(now))


class Watch:
    """The view of one daemon."""

    def __init__(self, eyes: Eyes, events: Events, wall_clock: Callable[[], float] = time.time) -> None:
        self._eyes, self._events, self._wall_clock = eyes, events, wall_clock
        self._viewer = Viewer()
        self._wake = asyncio.Event()
        self._looking = False
        self._read = asyncio.Event()

    @property
    def view(self) -> View:
        """As last seen."""
        return self._viewer.view

    def name_of(self, vm: Uuid) -> str:
        """What a VM was called when it was seen last; empty if it was never seen."""
        seen = self.view.vms.get(vm)
        return seen.name if seen else ""

    def changed(self, _event: DomainEvent) -> None:
        """A hypervisor has reported something."""
        self._wake.set()

    def accepted(self, request: FenceRequest) -> None:
        """See ``control_requests.Audience``: nothing has changed yet."""

    def answered(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """A power action is over."""
        self._wake.set()

    async def fresh(self, seconds: float) -> View:
        """The view after the next look, if something has changed or nothing was seen yet; after ``seconds`` as it is
        in any case.
        """
        if self._wake.is_set() or self._looking:
            self._read.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._read.wait()
        except TimeoutError:
            log.debug("not read again within %.1f s", seconds)
        return self.view

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            self._wake.clear()
            self._looking = True
            pause = self._eyes.pause if await self.look() else GLANCE_SECONDS
            self._looking = False
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> bool:
        """Look once; false if nothing could be read, and all stays as it was seen."""
        try:
            seen = await self._eyes.look()
        except HypervisorError as error:
            log.debug("not read: %s", error)
            return False
        self._events.tell(self._viewer.look(seen.records, seen.hosts, self._wall_clock(), seen.unread))
        self._read.set()
        return True
