"""The local router: the VMs of this host's own hypervisors, one or several, and nobody else's."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from fencebus_agent.hypervisor import Hypervisor, HypervisorError, Permit, UnknownDomain
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Observation, Proof, Uuid, VmRecord, VmState

PATIENCE_WITH_A_CLAIM = 1.0
"""Seconds to wait for the other hypervisors when one has already said that the target has its life there."""

Found = VmRecord | None


class LocalRouter:
    """Asks and commands the hypervisors of this host directly."""

    name = "libvirt"

    def __init__(self, hypervisors: Sequence[Hypervisor]) -> None:
        self._hypervisors = {hypervisor.name: hypervisor for hypervisor in hypervisors}

    async def run(self) -> None:
        """Keep every hypervisor's connection alive."""
        async with asyncio.TaskGroup() as group:
            for hypervisor in self._hypervisors.values():
                group.create_task(hypervisor.run(), name=f"hypervisor {hypervisor.name}")

    async def check(self, deadline: Deadline) -> None:
        """Every hypervisor answers a real question; raises HypervisorError naming one that does not."""
        await self.list(deadline)

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs of all hypervisors, each VM once, a living one before its namesake that is off."""
        lists = await asyncio.gather(*(self._list_of(name, deadline) for name in self._hypervisors))
        records: dict[Uuid, VmRecord] = {}
        for record in (record for each in lists for record in each):
            if record.uuid not in records or record.state.is_claim:
                records[record.uuid] = record
        return tuple(records.values())

    async def _list_of(self, name: str, deadline: Deadline) -> Sequence[VmRecord]:
        return [dataclasses.replace(record, hypervisor=name) for record in await self._hypervisors[name].list(deadline)]

    # -- finding ----------

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """Ask all hypervisors at once; a silent one is waited for, unless another has the target's life already."""
        if len(self._hypervisors) == 1:
            (name,) = self._hypervisors
            return _gathered([await self._find_in(name, target, deadline)])
        asked = [asyncio.create_task(self._find_in(name, target, deadline)) for name in self._hypervisors]
        try:
            return _gathered(await _first_enough(asked), silent=_unanswered(self._hypervisors, asked))
        finally:
            for task in asked:
                task.cancel()

    async def _find_in(self, name: str, target: str, deadline: Deadline) -> VmRecord | HypervisorError | None:
        try:
            record = await self._hypervisors[name].find(target, deadline)
        except HypervisorError as error:
            return error
        return dataclasses.replace(record, hypervisor=name) if record else None

    # -- acting ----------

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """S3: end the life in every place that knows the VM, all at once; each place must confirm for itself.

        A place that failed has no observation, to which the verdict objects; what the others brought is kept, as it
        has happened.
        """
        acts = [self._off_in(record, deadline, permit) for record in found.records if record.uuid == vm]
        results = await asyncio.gather(*acts, return_exceptions=True)
        observations = tuple(seen for seen in results if isinstance(seen, Observation))
        errors = [error for error in results if isinstance(error, BaseException)]
        if errors and not observations:
            raise errors[0]
        return dataclasses.replace(found, observations=observations)

    async def _off_in(self, record: VmRecord, deadline: Deadline, permit: Permit) -> Observation:
        try:
            seen = await self._hypervisors[record.hypervisor].power_off(record.uuid, deadline, permit)
        except UnknownDomain as error:
            # It was there a moment ago and is not any more: it may have ended or left, and nobody here
            # can tell which (S14).
            return _vanished(record, deadline, str(error))
        return dataclasses.replace(seen, hypervisor=record.hypervisor)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Start it where it lives or lived; which place that is, if there are several, rule S15 has decided before."""
        places = sorted(
            (record for record in found.records if record.uuid == vm), key=lambda record: not record.state.is_claim
        )
        place = places[0].hypervisor
        seen = await self._hypervisors[place].power_on(vm, deadline, permit)
        return dataclasses.replace(found, observations=(dataclasses.replace(seen, hypervisor=place),))


def _gathered(answers: Sequence[VmRecord | HypervisorError | None], silent: tuple[str, ...] = ()) -> Evidence:
    records = tuple(answer for answer in answers if isinstance(answer, VmRecord))
    failed = tuple(str(answer) for answer in answers if isinstance(answer, HypervisorError))
    return Evidence(records, silent=failed + silent)


async def _first_enough(
    asked: Sequence[asyncio.Task[VmRecord | HypervisorError | None]],
) -> list[VmRecord | HypervisorError | None]:
    """The answers of all, or of those that came in time when one of them is a claim."""
    done, pending = await asyncio.wait(asked, timeout=PATIENCE_WITH_A_CLAIM)
    answers = [task.result() for task in done]
    if pending and not any(isinstance(answer, VmRecord) and answer.state.is_claim for answer in answers):
        await asyncio.wait(pending)
    return [task.result() for task in asked if task.done()]


def _unanswered(names: Sequence[str] | dict[str, Hypervisor], asked: Sequence[asyncio.Task[object]]) -> tuple[str, ...]:
    return tuple(name for name, task in zip(names, asked, strict=True) if not task.done())


def _vanished(record: VmRecord, deadline: Deadline, detail: str) -> Observation:
    return Observation(
        vm=record.uuid,
        state=VmState.UNKNOWN,
        host=record.host,
        incarnation=record.incarnation,
        proof=Proof.NONE,
        seen_at=deadline.clock(),
        migration_in_flight=True,
        detail=f"{detail}: it was there directly before, and may have left by migration",
        hypervisor=record.hypervisor,
    )
