"""Turns the bus, as a console sees it, into the source of a page: for a machine on which no daemon runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator

from fencebus_agent.bus import Bus, BusState
from fencebus_agent.qmf_console import ConsoleTerms, QmfConsole
from fencebus_host.control_events import Events
from fencebus_host.control_health import problems, worst
from fencebus_host.control_view import Viewer, counts
from fencebus_host.web.bus_view import BusMemory, finished
from fencebus_schemas import __version__
from fencebus_schemas.qmf2_classes import FENCE_COMPLETED, FENCE_REQUESTED
from fencebus_schemas.qmf2_data import Event
from fencebus_schemas.status import VERSION, EventKind, EventStatus, PartStatus, Status

KEPT = 200
REST_SECONDS = 0.1
"""Between two looks at the picture, however much comes."""


class BusSource:
    """See ``scene.Source``.  Build it on the loop; it listens while ``run`` does."""

    def __init__(self, bus: Bus, terms: ConsoleTerms | None = None) -> None:
        self._bus, self._console = bus, QmfConsole(bus, terms)
        self._events, self._viewer, self._memory = Events(time.time), Viewer(), BusMemory()
        self._started = time.time()
        self._trouble: str | None = "not connected yet"
        self._waiting: asyncio.TimerHandle | None = None
        bus.watch(self._connection)
        self._console.watch(self._soon)
        self._console.subscribe(self._happened)

    async def run(self) -> None:
        """Listen, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bus.run())
            group.create_task(self._console.run())

    async def status(self) -> Status:
        """See ``Source``: from memory.  Raises ConnectionError while there is no connection."""
        if self._trouble is not None:
            raise ConnectionError(0, f"{self._bus.name}: {self._trouble}")
        self._look()
        view, fences = self._viewer.view, finished(self._console.picture)
        parts = (PartStatus(f"bus {self._bus.name}"),)
        found = problems(view, parts, None, fences)
        return Status(
            version=VERSION,
            host="the bus",
            pid=os.getpid(),
            program=__version__,
            file=None,
            router="console",
            started=self._started,
            at=time.time(),
            health=worst(found),
            problems=found,
            hosts=tuple(view.hosts.values()),
            vms=tuple(view.vms.values()),
            vms_known=len(view.vms),
            states=counts(view.vms.values()),
            parts=parts,
            finished=fences,
        )

    async def events(self) -> AsyncGenerator[EventStatus, None]:
        """See ``Source``."""
        async for event in self._events.follow(None, KEPT):
            yield event

    def _look(self) -> None:
        self._waiting = None
        records, hosts = self._memory.look(self._console.picture, time.monotonic())
        self._events.tell(self._viewer.look(records, hosts, time.time()))

    def _soon(self) -> None:
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().call_later(REST_SECONDS, self._look)

    def _connection(self, state: BusState, reason: str) -> None:
        self._trouble = None if state is BusState.CONNECTED else reason or "not connected"
        self._events.happened(EventKind.PART_CHANGED, f"bus: {self._trouble or 'connected'}", part="bus")

    def _happened(self, agent: str, event: Event) -> None:
        values = {name: str(each) for name, each in event.values.items()}
        action = f"{values.get('action')} of {values.get('target')}"
        about = {"request": values.get("requestId", ""), "name": values.get("target", "")}
        host = agent.rsplit(":", maxsplit=1)[-1]
        if event.schema.class_name == FENCE_REQUESTED.id.class_name:
            text = f"{action} asked by {values.get('source')} at {host}"
            self._events.happened(EventKind.FENCE_ACCEPTED, text, host=host, **about)
        elif event.schema.class_name == FENCE_COMPLETED.id.class_name:
            word = "done" if event.values.get("ok") is True else "FAILED"
            text = f"{action} {word}: {values.get('reason')} {values.get('text', '')}".rstrip()
            self._events.happened(EventKind.FENCE_FINISHED, text, host=host, **about)
