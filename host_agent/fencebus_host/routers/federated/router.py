"""Brings the federation's evidence to the service: who has a VM anywhere, and what became of it on all hosts."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence

from fencebus_agent.hypervisor import ActRefused, HypervisorError, Permit, SightedHypervisor
from fencebus_host.denial import Inquiry
from fencebus_host.effects import Conclude, Effects
from fencebus_host.federation.coordinator import Matter
from fencebus_host.federation.identity import identity_of
from fencebus_host.federation.machine import Federation
from fencebus_host.ownership import Ownership
from fencebus_host.ports import HostWord
from fencebus_host.routers.federated.carrier import Carrier, Keeper, Witnesses
from fencebus_host.routers.federated.deed_log import LoggedDeeds
from fencebus_host.routers.federated.driving import Driving
from fencebus_host.routers.federated.rehearsals import Rehearsals
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import (
    FenceOutcome,
    FenceRequest,
    HostId,
    Reason,
    RequestId,
    Uuid,
    VmRecord,
    VmState,
    as_uuid,
)
from fencebus_schemas.peer import Outcome

log = logging.getLogger(__name__)

GRACE = 0.4
"""Seconds past the deadline that the machine may take to say what is missing."""


class FederatedRouter:
    """Finds out which host has a VM and has things done to it there, over any carrier."""

    def __init__(
        self,
        me: HostId,
        machine: Federation,
        hypervisor: SightedHypervisor,
        carrier: Carrier,
        keeper: Keeper,
        witnesses: Witnesses,
        rehearsals: Rehearsals,
        clock: Clock = boottime,
        name: str = "federated",
    ) -> None:
        self._me, self._machine, self._hypervisor, self._clock = me, machine, hypervisor, clock
        self.carrier = carrier
        self._name = name
        self._waiting: dict[RequestId, asyncio.Future[Evidence]] = {}
        deeds = LoggedDeeds(keeper, self._waiting)
        self._rehearsals, aside = rehearsals, rehearsals.takes
        self._driving = Driving(machine, hypervisor, carrier, deeds, witnesses, self._concluded, clock, aside)

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return self._name

    @property
    def ownership(self) -> Ownership:
        """Who the members are and who has what, as this host knows it; for reading only."""
        return self._machine.ownership

    @property
    def trouble(self) -> str | None:
        """Whom this host cannot reach, and why; ``None`` if everybody is there.  What still works is still served."""
        if self.carrier.trouble is not None:
            return self.carrier.trouble
        return silences(self._machine.ownership, self._me, self._clock()) or None

    async def run(self) -> None:
        """Take part, until cancelled."""
        await self._driving.run()

    async def check(self, deadline: Deadline) -> None:
        """This host's hypervisor answers a real question."""
        await self._hypervisor.list(deadline)

    # -- finding ----------

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """This host's own word as it is now, and the others' as last heard; a silent host cannot say any more."""
        try:
            here = await self._hypervisor.find(target, deadline)
        except HypervisorError as error:
            nobody_yet = Inquiry(self._machine.ownership.member_list)
            return Evidence(tuple(self._elsewhere(target)), silent=(str(error),), inquiry=nobody_yet)
        records = (*((here,) if here else ()), *self._elsewhere(target))
        # Who was not read may have another VM of that name (S8), and one with a UUID that nobody else knows (S2).
        unread = () if as_uuid(target) and records else self._machine.ownership.unread(self._clock())
        return Evidence(records, silent=unread, inquiry=Inquiry(self._machine.ownership.member_list))

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs of all hosts, each once, as the host says that claims most of it."""
        here = await self._hypervisor.list(deadline)
        others = (self._aged(record) for record in self._machine.ownership.everything() if record.host != self._me)
        best: dict[Uuid, VmRecord] = {}
        for record in (*here, *others):
            if record.uuid not in best or _weight(record) > _weight(best[record.uuid]):
                best[record.uuid] = record
        return tuple(best.values())

    def _elsewhere(self, target: str) -> Sequence[VmRecord]:
        ownership = self._machine.ownership
        vm = as_uuid(target)
        uuids = [vm] if vm else sorted(ownership.named(target))
        records = (record for uuid in uuids for record in ownership.known(uuid))
        return [self._aged(record) for record in records if record.host != self._me]

    def _aged(self, record: VmRecord) -> VmRecord:
        """What a silent host last said it had: it may still, and nobody knows.

        Nor is a word of another host believed, without a quorum, that a VM is off there.
        """
        ownership = self._machine.ownership
        believed = ownership.quorate or record.state.is_claim
        if believed and not ownership.is_silent(record.host, self._clock()):
            return record
        return dataclasses.replace(record, state=VmState.UNKNOWN)

    # -- acting ----------

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Have the life ended wherever it is, or have every member deny that it has one."""
        return await self._course(self._machine.submit_fence, vm, found, permit)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Have it started on the one host that may, once every member has denied that it has it."""
        return await self._course(self._machine.submit_start, vm, found, permit)

    async def _course(
        self, submit: Callable[[Matter, float], Effects], vm: Uuid, found: Evidence, permit: Permit
    ) -> Evidence:
        request = found.request
        assert request is not None, "who fences across hosts has to say for whom"
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = waiting
        known = tuple(self._machine.ownership.known(vm)) or found.records
        matter = Matter(request, vm, identity_of(request), self._label(request), known, _asking(permit))
        try:
            self._driving.apply(submit(matter, self._clock()))
            async with asyncio.timeout(request.deadline.remaining() + GRACE):
                evidence: Evidence = await waiting
        finally:
            self._waiting.pop(request.id, None)
        return dataclasses.replace(evidence, records=evidence.records or found.records)

    def _label(self, request: FenceRequest) -> str | None:
        vm = request.source.vm
        return self._hypervisor.cluster_of(vm) if vm is not None else None

    def _concluded(self, conclusion: Conclude) -> None:
        waiting = self._waiting.get(conclusion.request)
        if waiting is not None and not waiting.done():
            waiting.set_result(conclusion.evidence)

    async def ask(self, request: FenceRequest, vm: Uuid, deadline: Deadline) -> Sequence[HostWord]:
        """See ``ports.Asking``: waits for nobody who has been silent for long."""
        ownership, now = self._machine.ownership, self._clock()
        members = ownership.member_list
        awaited = [host for host in members if host == self._me or not ownership.is_silent(host, now)]
        said = await self._rehearsals.ask(request, vm, self._label(request), awaited, deadline)
        words = ((host, said.get(host)) for host in members)
        return [HostWord(host, word.sight, word.refusal) if word else HostWord(host, None) for host, word in words]

    # -- S7, across hosts ----------

    def note(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """A power action is over: the same request gets the same answer wherever it arrives again."""
        patience = max(request.deadline.at - self._clock(), 0.0)
        self._driving.answered()
        self._driving.apply(self._machine.settled(identity_of(request), outcome, patience))

    def recall(self, request: FenceRequest) -> Outcome | None:
        """What another host has answered to the very same request."""
        return self._machine.recall(identity_of(request), self._clock())

    # -- what the carrier knows of others ----------

    def departed(self, host: HostId) -> None:
        """Nobody speaks for ``host`` any more: it is silent from now on, which is no death (S13)."""
        self._machine.departed(host)

    def quorum(self, stands: bool) -> None:
        """Whether this host's part of the cluster is the greater one; without, nothing of others is declared off."""
        self._machine.quorum(stands)

    # -- for administrators ----------

    def confirm_dead(self, host: HostId, who: str, when: str) -> None:
        """An operator vouches that a host is dead (S13); nothing happens for one that nobody has heard."""
        self._driving.apply(self._machine.confirm_dead(host, who, when, self._clock()))

    def forget(self, host: HostId) -> None:
        """An operator ends a host's membership."""
        self._driving.apply(self._machine.forget(host, self._clock()))

    def owners(self) -> Iterable[VmRecord]:
        """Who has what, as far as this host knows."""
        return sorted(self._machine.ownership.everything(), key=lambda record: (record.name, record.host))


def silences(ownership: Ownership, me: HostId, now: float) -> str:
    """What is to be said of the members that were not heard lately, or that are two; empty if there is nothing."""
    twins = ownership.conflicts(now)
    others = (host for host in ownership.member_list if host != me and host not in twins)
    silent = [host for host in others if ownership.is_silent(host, now)]
    heard = {host for host in silent if ownership.heard_ago(host, now) is not None}
    said = [f"two machines call themselves {host}" for host in sorted(twins)]
    said += [f"{host} is silent" if host in heard else f"{host} was not heard yet" for host in silent]
    return ", ".join(said)


def _asking(permit: Permit) -> Callable[[], Reason | None]:
    def ask() -> Reason | None:
        try:
            permit(None)
        except ActRefused as refusal:
            return refusal.reason
        return None

    return ask


def _weight(record: VmRecord) -> int:
    if record.state.is_claim:
        return 2
    return 1 if record.state is VmState.UNKNOWN else 0
