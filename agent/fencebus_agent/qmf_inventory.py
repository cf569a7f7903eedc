"""Keeps a QMF agent's Domains as the hypervisors have them: what an event is about is read anew, and all now and then.

Which of them this host shows is decided by whoever knows the owners; without such knowledge only what has a life here
is shown, because a VM that is merely defined here may run elsewhere, and old daemons believe the first object that they
find.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
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
"""VMs that are looked through before whatever else waits has its turn, and that are asked for one by one: of more the
whole list is read.
"""
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
        self._known: dict[str, dict[Uuid, VmRecord]] = {each.name: {} for each in self._hypervisors}
        self._shown: dict[Uuid, tuple[DomainFacts, Map]] = {}
        self._stale = True
        self._stirred: set[Uuid] = set()
        """VMs that may be something else than what was read of them."""
        self._unshown: set[Uuid] = set()
        """VMs that may have to be shown otherwise than they are."""
        self._stir = asyncio.Event()
        self._described(None)
        for hypervisor in self._hypervisors:
            hypervisor.subscribe(self._happened)

    def reread(self) -> None:
        """The hypervisors may say something else now."""
        self._stale = True
        self._stir.set()

    def owners_changed(self, vms: Iterable[Uuid] | None) -> None:
        """Something else is known now of who owns these VMs (``None``: any of them), or of their last fence: what was
        read of them is shown anew.
        """
        mine = self._mine if vms is None else {vm for vm in vms if self._records_of(vm)}
        if mine:
            self._unshown |= mine
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
            if self._stale or len(self._stirred) > AT_ONCE:
                await self._read()
            elif self._stirred:
                await self._read_some()
            await self._show()
            try:
                # Not wait_for, which in Python 3.11 loses a cancellation that comes together with the event.
                async with asyncio.timeout(REREAD_SECONDS):
                    await self._stir.wait()
            except TimeoutError:
                self._stale = True
            await asyncio.sleep(APART)  # what is told in the midst of a fence delays it, and more may come

    async def _read(self) -> None:
        self._stale, before = False, self._mine
        self._stirred.clear()
        read = await asyncio.gather(*(self._listed(hypervisor) for hypervisor in self._hypervisors))
        for hypervisor, records in zip(self._hypervisors, read, strict=True):
            self._known[hypervisor.name] = {record.uuid: record for record in records}
        self._unshown |= before | self._mine

    async def _listed(self, hypervisor: Hypervisor) -> tuple[VmRecord, ...]:
        try:
            return tuple(await hypervisor.list(Deadline.after(LIST_SECONDS)))
        except HypervisorError as error:
            log.warning("the VMs cannot be read: %s", error)
            # What was off may run by now: nobody may take a memory for a fact.
            return tuple(replace(one, state=VmState.UNKNOWN) for one in self._known[hypervisor.name].values())

    async def _read_some(self) -> None:
        """Only what has been heard of: to list hundreds of VMs after each event takes longer than a fence."""
        vms, self._stirred = self._stirred, set()
        try:
            for hypervisor in self._hypervisors:
                for vm in vms:
                    self._learn(hypervisor.name, vm, await hypervisor.find(vm, Deadline.after(LIST_SECONDS)))
        except HypervisorError:
            await self._read()
        self._unshown |= vms

    def _learn(self, hypervisor: str, vm: Uuid, record: VmRecord | None) -> None:
        if record is None:
            self._known[hypervisor].pop(vm, None)
        else:
            self._known[hypervisor][vm] = record

    def _records_of(self, vm: Uuid) -> list[VmRecord]:
        """Of all hypervisors; claims behind what others of them say of the same VM, because the last one counts."""
        records = (known[vm] for known in self._known.values() if vm in known)
        return sorted(records, key=lambda one: one.state.is_claim)

    @property
    def _mine(self) -> set[Uuid]:
        return set().union(*self._known.values())

    async def _show(self) -> None:
        """A few VMs in each turn of the loop: of hundreds it takes as long as a fence, which passes here meanwhile."""
        vms, self._unshown = self._unshown, set()
        for number, vm in enumerate(vms):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            self._show_one(vm)

    def _show_one(self, vm: Uuid) -> None:
        shown: tuple[DomainFacts, Map] | None = None
        for record in self._records_of(vm):
            owner = self._owner_of(record)
            if owner is not None:
                shown = self._values(self._facts(record, owner)) or shown
        if shown is not None:
            self._shown[vm] = shown
            self._agent.put(DOMAIN, vm, shown[1])
        elif self._shown.pop(vm, None) is not None:
            self._agent.remove(DOMAIN, vm)

    def _values(self, facts: DomainFacts) -> tuple[DomainFacts, Map] | None:
        """Of what this host shows; ``None`` of what it does not."""
        known = self._shown.get(facts.uuid)
        if known is not None and known[0] == facts:
            return known
        values = owned(self._host, [facts]).get(facts.uuid)
        return None if values is None else (facts, values)

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
        name = next((one.name for one in self._records_of(event.vm)), "")
        self._agent.tell(DOMAIN_LIFECYCLE, lifecycle_values(event, name, self._host))
        self._stirred.add(event.vm)
        self._stir.set()
