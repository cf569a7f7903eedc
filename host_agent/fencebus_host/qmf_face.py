"""The QMF face of a daemon: one agent beside the router on the same bus, with its VMs, its calls and its events.

What is needed to start it, once the service stands:

* ``FaceTerms``, from the configuration; ``epoch`` from ``qmf_epoch.next_epoch(state_dir)``;
* the router's own ``Bus``: the face subscribes to it and sends by it, whoever runs the router runs the bus;
* a ``Site``: the host's hypervisors and their courtesies, ``service.handle``, ``router.find``, and the router's
  ownership (``None`` where the router knows no other hosts).

Then ``face.run()`` is a part of the daemon like the router; it joins the service's audience, so that consoles hear of
every request; ``face.kept`` is told of every record that the federation keeps (``WatchedKeeper``),
so that the VMs shown follow their owners.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fencebus_agent.bus import Bus
from fencebus_agent.courtesies import Courtesies
from fencebus_agent.hypervisor import Hypervisor
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_calls import Call
from fencebus_agent.qmf_desk import AgentTerms
from fencebus_agent.qmf_details import Describer
from fencebus_agent.qmf_inventory import Inventory, alive_here
from fencebus_agent.qmf_reports import ownership_values
from fencebus_host.config.model import REQUEST_TIMEOUT
from fencebus_host.effects import HostPicture, Kept
from fencebus_host.ports import Handle
from fencebus_host.qmf_face_calls import FaceCalls, Find
from fencebus_host.qmf_face_owner import Owners, Passages, is_shown_here, vms_of
from fencebus_host.qmf_face_record import Chronicle
from fencebus_schemas import __version__
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import FenceOutcome, FenceRequest, HostId, VmRecord
from fencebus_schemas.qmf2_classes import OWNERSHIP_CHANGED


@dataclass(frozen=True, slots=True)
class FaceTerms:
    """What the configuration says of it."""

    host: HostId
    epoch: int
    router: str
    """As the configuration calls it."""
    domain: str = "default"
    trusted: frozenset[str] = frozenset()
    reply_queues: bool = False
    patience: float = REQUEST_TIMEOUT
    """Seconds, of a fence that a console asks for."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the host has that the face shows."""

    hypervisors: Sequence[Hypervisor]
    courtesies: Sequence[Courtesies]
    handle: Handle
    find: Find
    owners: Owners | None = None
    describers: Sequence[Describer] = ()
    """Of the hypervisors, in their order."""


class QmfFace:
    """Build it on the loop."""

    def __init__(self, terms: FaceTerms, bus: Bus, site: Site, clock: Clock = boottime) -> None:
        self._site, self._clock, self._host = site, clock, terms.host
        self.epoch = terms.epoch
        """The number of this run, as consoles see it."""
        names = AgentTerms(
            terms.host, terms.epoch, terms.domain, trusted=terms.trusted, reply_queues=terms.reply_queues
        )
        self._agent = QmfAgent(bus, names, self)
        self._chronicle = Chronicle(self._agent, terms.host, __version__, terms.router)
        self._calls = FaceCalls(site.handle, site.find, site.courtesies, self._chronicle, terms.patience)
        self._inventory = Inventory(
            self._agent, site.hypervisors, self._owner_of, self._chronicle.fence_of, site.describers
        )
        self._passages = Passages(site.owners) if site.owners else None

    async def run(self) -> None:
        """Show and answer until cancelled, or until the bus is closed."""
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(self._inventory.run(), name="qmf inventory")
            await self._agent.run()
            showing.cancel()

    def accepted(self, request: FenceRequest) -> None:
        """As an audience of the service: consoles hear of power actions."""
        self._chronicle.asked(request)

    def answered(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """As an audience of the service."""
        self._inventory.owners_changed(self._chronicle.ended(request, outcome, seconds))

    async def call(self, call: Call, deadline: Deadline) -> Map:
        """As ``qmf_calls.Handler``: what the agent has admitted."""
        return await self._calls.call(call, deadline)

    def kept(self, record: Kept) -> None:
        """The federation knows something else now."""
        # Of a host that was read for the first time it is known now what it has not (``is_shown_here``).
        self._inventory.owners_changed(None if isinstance(record, HostPicture) else vms_of(record))
        for passage in self._passages.take(record) if self._passages else ():
            # All hosts hear of it; the one that has the VM now says so.
            if passage.new == self._host:
                values = ownership_values(passage.vm, passage.name, passage.old, passage.new)
                self._agent.tell(OWNERSHIP_CHANGED, values)

    def _owner_of(self, record: VmRecord) -> HostId | None:
        owners = self._site.owners
        if owners is None:
            return alive_here(record)
        return record.host if is_shown_here(record, owners, self._clock()) else None
