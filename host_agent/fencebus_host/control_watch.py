"""Keeps the view of who has what up to date, and tells of each change: at a hypervisor's event, and now and then.

A shell around ``control_view``.  Where the router has a picture of all hosts in memory it is read each second; where
each VM has to be asked for, after events, and otherwise seldom.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from fencebus_agent.hypervisor import DomainEvent, HypervisorError
from fencebus_host.control_events import Events
from fencebus_host.control_view import View, Viewer
from fencebus_host.ports import Router
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, VmRecord
from fencebus_schemas.status import HostState, HostStatus

log = logging.getLogger(__name__)

GLANCE_SECONDS = 1.0
"""Between two readings of a picture in memory."""
READ_SECONDS = 30.0
"""Between two readings of a hypervisor that has not reported anything."""
PAUSE_SECONDS = 0.2
"""Between two readings at least, however many events there are."""
PATIENCE = 5.0


@runtime_checkable
class Pictured(Protocol):
    """A router that has a picture of all hosts in memory."""

    def owners(self) -> Iterable[VmRecord]:
        """All that is known of every VM."""

    def hosts(self) -> Sequence[HostStatus]:
        """The members."""


class Watch:
    """The view of one daemon."""

    def __init__(
        self, host: HostId, router: Router, events: Events, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._host, self._router, self._events, self._wall_clock = host, router, events, wall_clock
        self._viewer = Viewer()
        self._wake = asyncio.Event()
        self._read = asyncio.Event()

    @property
    def view(self) -> View:
        """As last seen."""
        return self._viewer.view

    def changed(self, _event: DomainEvent) -> None:
        """A hypervisor has reported something."""
        self._wake.set()

    async def first(self, seconds: float) -> View:
        """The view, once there is one; an empty one if that takes longer than ``seconds``."""
        try:
            await asyncio.wait_for(self._read.wait(), seconds)
        except TimeoutError:
            log.debug("nothing has been read yet")
        return self.view

    async def run(self) -> None:
        """Look, until cancelled."""
        pause = GLANCE_SECONDS if isinstance(self._router, Pictured) else READ_SECONDS
        while True:
            self._wake.clear()
            await self.look()
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Look once; what cannot be read stays as it was seen."""
        router = self._router
        try:
            if isinstance(router, Pictured):
                records, hosts = list(router.owners()), router.hosts()
            else:
                records, hosts = list(await router.list(Deadline.after(PATIENCE))), self._alone()
        except HypervisorError as error:
            log.debug("not read: %s", error)
            return
        self._events.tell(self._viewer.look(records, hosts, self._wall_clock()))
        self._read.set()

    def _alone(self) -> Sequence[HostStatus]:
        return (HostStatus(self._host, HostState.HERE, heard_ago=0.0),)
