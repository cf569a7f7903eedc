"""Keeps a QMF agent's Domains as the hypervisors have them: read anew after each event, and now and then.

Which of them this host shows is decided by whoever knows the owners; without such knowledge only what has a life here
is shown, because a VM that is merely defined here may run elsewhere, and old daemons believe the first object that they
find.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from fencebus_agent.hypervisor import DomainEvent, Hypervisor, HypervisorError
from fencebus_agent.qmf_agent import QmfAgent
from fencebus_agent.qmf_details import Describer, Descriptions
from fencebus_agent.qmf_domains import DomainFacts, LastFence, owned
from fencebus_agent.qmf_reports import lifecycle_values, node_values
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Uuid, VmRecord, VmState
from fencebus_schemas.qmf2_classes import DOMAIN, DOMAIN_LIFECYCLE, NODE

log = logging.getLogger(__name__)

LIST_SECONDS = 5.0
REREAD_SECONDS = 60.0
"""Seconds after which it is read anew without an event."""
APART = 0.05
"""Seconds between two readings, however many events come."""
AT_ONCE = 16
"""VMs that are looked through before whatever else waits has its turn."""
OwnerOf = Callable[[VmRecord], HostId | None]
"""The host that a VM of this host's list belongs to; ``None``: nobody shows it."""
FenceOf = Callable[[Uuid], LastFence | None]
"""What is known of a VM's last fence."""


def alive_here(record: VmRecord) -> HostId | None:
    """The owner for whoever knows no other hosts.  What left by migration is unknown here, and shown where it went."""
    return record.host if record.state.is_claim else None


def _no_fence(_vm: Uuid) -> LastFence | None:
    return None


class Inventory:
    """One host's VMs as the Domains of one agent."""

    def __init__(
        self,
        agent: QmfAgent,
        hypervisors: Sequence[Hypervisor],
        owner_of: OwnerOf = alive_here,
        fence_of: FenceOf = _no_fence,
        describers: Sequence[Describer] = (),
    ) -> None:
        """``describers``: of the hypervisors, in their order; none where nobody describes."""
        self._agent, self._hypervisors = agent, tuple(hypervisors)
        self._descriptions = Descriptions(tuple(zip(self._hypervisors, describers, strict=False)), self._described)
        self._owner_of, self._fence_of = owner_of, fence_of
        self._host = HostId(agent.name.instance)
        self._known: dict[str, tuple[VmRecord, ...]] = {}
        self._shown: dict[Uuid, tuple[DomainFacts, Map]] = {}
        self._stale = True
        self._stir = asyncio.Event()
        self._described(None)
        for hypervisor in self._hypervisors:
            hypervisor.subscribe(self._happened)

    def reread(self) -> None:
        """The hypervisors may say something else now."""
        self._stale = True
        self._stir.set()

    def owners_changed(self, vms: Iterable[Uuid]) -> None:
        """Something else is known now of who owns these VMs, or of their last fence: what was read is shown anew."""
        if self._mine.intersection(vms):
            self._stir.set()

    async def run(self) -> None:
        """Read and show until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._descriptions.run(), name="descriptions")
            group.create_task(self._follow(), name="inventory")

    def _described(self, vms: frozenset[Uuid] | None) -> None:
        if vms is not None:
            self.owners_changed(vms)
            return
        uri = ", ".join(one.name for one in self._hypervisors)
        self._agent.put(NODE, self._host, {**node_values(self._host, uri), **self._descriptions.node})

    async def _follow(self) -> None:
        while True:
            self._stir.clear()
            if self._stale:
                await self._read()
            await self._show()
            await asyncio.sleep(APART)
            try:
                # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the event.
                async with asyncio.timeout(REREAD_SECONDS):
                    await self._stir.wait()
            except TimeoutError:
                self._stale = True

    async def _read(self) -> None:
        self._stale = False
        read = await asyncio.gather(*(self._listed(hypervisor) for hypervisor in self._hypervisors))
        self._known = {hypervisor.name: records for hypervisor, records in zip(self._hypervisors, read, strict=True)}

    async def _listed(self, hypervisor: Hypervisor) -> tuple[VmRecord, ...]:
        try:
            return tuple(await hypervisor.list(Deadline.after(LIST_SECONDS)))
        except HypervisorError as error:
            log.warning("the VMs cannot be read: %s", error)
            # What was off may run by now: nobody may take a memory for a fact.
            return tuple(replace(one, state=VmState.UNKNOWN) for one in self._known.get(hypervisor.name, ()))

    @property
    def _records(self) -> list[VmRecord]:
        """Of all hypervisors; claims behind what others of them say of the same VM, because the last one counts."""
        records = (one for each in self._known.values() for one in each)
        return sorted(records, key=lambda one: one.state.is_claim)

    @property
    def _mine(self) -> set[Uuid]:
        return {one.uuid for each in self._known.values() for one in each}

    async def _show(self) -> None:
        """A few VMs in each turn of the loop: of hundreds it takes as long as a fence, which passes here meanwhile."""
        before, self._shown = self._shown, {}
        for number, one in enumerate(self._records):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            owner = self._owner_of(one)
            if owner is not None:
                self._keep(self._facts(one, owner), before)
        self._agent.show(DOMAIN, {vm: values for vm, (_, values) in self._shown.items()})

    def _keep(self, facts: DomainFacts, before: Mapping[Uuid, tuple[DomainFacts, Map]]) -> None:
        known = before.get(facts.uuid)
        if known is not None and known[0] == facts:
            self._shown[facts.uuid] = known
            return
        for vm, values in owned(self._host, [facts]).items():
            self._shown[Uuid(vm)] = facts, values

    def _facts(self, one: VmRecord, owner: HostId) -> DomainFacts:
        details, fence = self._descriptions.of(one.uuid), self._fence_of(one.uuid)
        facts = DomainFacts(one.uuid, one.name, one.state, owner, last_fence=fence)
        if details is None:
            return facts
        return replace(
            facts,
            number=details.number if details.number >= 0 else None,
            processors=details.processors,
            maximum_memory=details.maximum_memory,
            memory=details.memory,
        )

    def _happened(self, event: DomainEvent) -> None:
        name = next((one.name for one in self._records if one.uuid == event.vm), "")
        self._agent.tell(DOMAIN_LIFECYCLE, lifecycle_values(event, name, self._host))
        self.reread()
