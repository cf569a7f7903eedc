"""Keeps a QMF agent's Domains as the hypervisor has them: read anew after each event, and now and then.

Which of them this host shows is decided by whoever knows the owners; without such knowledge only what has a life here
is shown, because a VM that is merely defined here may run elsewhere, and old daemons believe the first object that they
find.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from fencebus_agent.hypervisor import DomainEvent, Hypervisor, HypervisorError
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_domains import DomainFacts, owned
from fencebus_agent.qmf_reports import lifecycle_values, node_values
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, VmRecord, VmState
from fencebus_schemas.qmf2_classes import DOMAIN, DOMAIN_LIFECYCLE, NODE

log = logging.getLogger(__name__)

LIST_SECONDS = 5.0
REREAD_SECONDS = 60.0
"""Seconds after which it is read anew without an event."""
APART = 0.05
"""Seconds between two readings, however many events come."""
OwnerOf = Callable[[VmRecord], HostId | None]
"""The host that a VM of this host's list belongs to; ``None``: nobody shows it."""


def alive_here(record: VmRecord) -> HostId | None:
    """The owner for whoever knows no other hosts.  What left by migration is unknown here, and shown where it went."""
    return record.host if record.state.is_claim else None


class Inventory:
    """One hypervisor's VMs as the Domains of one agent."""

    def __init__(self, agent: QmfAgent, hypervisor: Hypervisor, owner_of: OwnerOf = alive_here) -> None:
        self._agent, self._hypervisor, self._owner_of = agent, hypervisor, owner_of
        self._host = HostId(agent.name.instance)
        self._known: tuple[VmRecord, ...] = ()
        self._stale = asyncio.Event()
        agent.put(NODE, self._host, node_values(self._host, hypervisor.name))
        hypervisor.subscribe(self._happened)

    def reread(self) -> None:
        """Something may have changed: also an owner."""
        self._stale.set()

    async def run(self) -> None:
        """Read and show until cancelled."""
        while True:
            await self._read()
            await asyncio.sleep(APART)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stale.wait(), REREAD_SECONDS)

    async def _read(self) -> None:
        self._stale.clear()
        try:
            self._show(await self._hypervisor.list(Deadline.after(LIST_SECONDS)))
        except HypervisorError as error:
            log.warning("the VMs cannot be read: %s", error)
            # What was off may run by now: nobody may take a memory for a fact.
            self._show([replace(one, state=VmState.UNKNOWN) for one in self._known])

    def _show(self, records: Sequence[VmRecord]) -> None:
        self._known = tuple(records)
        facts = [
            DomainFacts(one.uuid, one.name, one.state, owner)
            for one in records
            if (owner := self._owner_of(one)) is not None
        ]
        self._agent.show(DOMAIN, owned(self._host, facts))

    def _happened(self, event: DomainEvent) -> None:
        name = next((one.name for one in self._known if one.uuid == event.vm), "")
        self._agent.tell(DOMAIN_LIFECYCLE, lifecycle_values(event, name, self._host))
        self._stale.set()
