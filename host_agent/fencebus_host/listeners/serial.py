"""The serial listener: keeps every line of every running guest open, as guests come and go.

Lines are found in libvirt's XML, again after each event and every half minute.  Each hypervisor is followed by a task
of its own, so that a silent one hides nobody else's guests, and each line has one, which connects again for as long as
the guest has the line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from fencebus_agent.guest_devices import GuestDevices, GuestLine
from fencebus_agent.hypervisor import EventSink, HypervisorError
from fencebus_host.config.model import SerialSettings
from fencebus_host.line_choice import chosen
from fencebus_host.listeners.line import LineSession, LineTerms
from fencebus_host.listeners.line_socket import hold
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.ports import Handle
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Source

log = logging.getLogger(__name__)

DEVICES_SECONDS = 30.0
RESCAN_SECONDS = 30.0
SETTLE_SECONDS = 0.05
"""Events come in bursts: one scan answers them all."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
STEADY_SECONDS = 1.0
"""A connection that lasted as long as this was a good one: the next attempt follows soon."""


class Guests(Protocol):
    """What the listener needs of a hypervisor."""

    @property
    def name(self) -> str:
        """Its URI."""

    async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
        """The devices of all guests; raises HypervisorError."""

    def subscribe(self, sink: EventSink) -> None:
        """Call ``sink`` for each change."""


class SerialListener:
    """All lines that one configuration section selects."""

    def __init__(self, settings: SerialSettings, hypervisors: Iterable[Guests], refusals: Refusals) -> None:
        self.name = settings.name
        self._settings = settings
        self._refusals = refusals
        self._followed = [(one, asyncio.Event()) for one in hypervisors]
        for hypervisor, stir in self._followed:
            hypervisor.subscribe(_stirring(stir))

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        log.info("listener=%s ready", self.name)
        ready()
        async with asyncio.TaskGroup() as following:
            for hypervisor, stir in self._followed:
                following.create_task(self._follow(hypervisor, stir, handle))

    async def _follow(self, hypervisor: Guests, stir: asyncio.Event, handle: Handle) -> None:
        lines: dict[GuestLine, asyncio.Task[None]] = {}
        try:
            while True:
                stir.clear()
                wanted = await self._look(hypervisor)
                if wanted is not None:
                    self._settle(lines, wanted, handle)
                await _until(stir)
        finally:
            for task in lines.values():
                task.cancel()

    async def _look(self, hypervisor: Guests) -> frozenset[GuestLine] | None:
        """The lines to serve; ``None`` if the hypervisor does not say, and the ones that are known stay."""
        try:
            return chosen(self._settings, await hypervisor.devices(Deadline.after(DEVICES_SECONDS)))
        except HypervisorError as error:
            log.warning("listener=%s cannot look for lines: %s", self.name, error)
            return None

    def _settle(self, lines: dict[GuestLine, asyncio.Task[None]], wanted: frozenset[GuestLine], handle: Handle) -> None:
        for line in [known for known in lines if known not in wanted]:
            log.info("listener=%s line=%s of %s is gone", self.name, line.path, line.vm_name)
            lines.pop(line).cancel()
        for line in wanted.difference(lines):
            log.info("listener=%s line=%s of %s", self.name, line.path, line.vm_name)
            lines[line] = asyncio.create_task(self._keep(line, handle), name=f"line {line.path}")

    async def _keep(self, line: GuestLine, handle: Handle) -> None:
        """Connect, serve, and connect again until the line is gone."""
        terms = LineTerms(Source(line.vm, line.vm, line.vm_name, known=True), self.name, self._settings.request_timeout)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await LineSession(terms, handle, self._refusals).serve(reader, writer)

        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        while True:
            began = clock()
            try:
                await hold(line, serve)
            except OSError as error:
                level = logging.DEBUG if pause > FIRST_PAUSE else logging.WARNING
                log.log(level, "listener=%s line=%s of %s: %s", self.name, line.path, line.vm_name, error)
            pause = FIRST_PAUSE if clock() - began >= STEADY_SECONDS else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)


async def _until(stir: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(RESCAN_SECONDS):
            await stir.wait()
        await asyncio.sleep(SETTLE_SECONDS)
    except TimeoutError:
        return


def _stirring(stir: asyncio.Event) -> EventSink:
    return lambda _event: stir.set()
