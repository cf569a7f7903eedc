"""The local router: the VMs of this host's own hypervisors, one or several, and nobody else's."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Sequence

from fencebus_agent.hypervisor import Hypervisor, HypervisorError, Permit, UnknownDomain
from fencebus_host.verdict import ALIVE, Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.model import Observation, Proof, Uuid, VmRecord, VmState, as_uuid

log = logging.getLogger(__name__)

PATIENCE_WITH_A_LIFE = 1.0
"""Seconds to wait for the other hypervisors when one has already said that the target is alive there."""


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
        """All VMs of all hypervisors, each VM once, as the place says that claims most of it: unknown is not off."""
        asked = [self._list_of(name, deadline) for name in self._hypervisors]
        lists = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        records: dict[Uuid, VmRecord] = {}
        for record in (record for each in lists for record in each):
            if record.uuid not in records or _weight(record) > _weight(records[record.uuid]):
                records[record.uuid] = record
        return tuple(records.values())

    async def _list_of(self, name: str, deadline: Deadline) -> Sequence[VmRecord]:
        return [dataclasses.replace(record, hypervisor=name) for record in await self._hypervisors[name].list(deadline)]

    # -- finding ----------

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """Ask all hypervisors at once; a silent one is waited for, unless another has the target alive already."""
        if not self._hypervisors:
            return Evidence(())
        if len(self._hypervisors) == 1:
            (name,) = self._hypervisors
            return _gathered([await self._find_in(name, target, deadline)])
        asked = [asyncio.create_task(self._find_in(name, target, deadline)) for name in self._hypervisors]
        try:
            patience = PATIENCE_WITH_A_LIFE if as_uuid(target) else None
            return _gathered(await _first_enough(asked, patience), silent=_unanswered(self._hypervisors, asked))
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

        A place that failed brings an observation without a proof, to which the verdict objects; what the others
        brought is kept, as it has happened.
        """
        places = [record for record in found.records if record.uuid == vm]
        acts = [self._off_in(record, deadline, permit) for record in places]
        results = await asyncio.gather(*acts, return_exceptions=True)
        errors = [error for error in results if isinstance(error, BaseException)]
        if errors and len(errors) == len(results):
            raise errors[0]
        seen = tuple(_seen(*each, deadline) for each in zip(places, results, strict=True))
        return dataclasses.replace(found, observations=seen)

    async def _off_in(self, record: VmRecord, deadline: Deadline, permit: Permit) -> Observation:
        try:
            seen = await self._hypervisors[record.hypervisor].power_off(record.uuid, deadline, permit)
        except UnknownDomain as error:
            # It was there a moment ago and is not any more: it may have ended or left, and nobody here
            # can tell which (S14).
            detail = f"{error}: it was there directly before, and may have left by migration"
            return dataclasses.replace(_unproven(record, deadline, detail), migration_in_flight=True)
        return dataclasses.replace(seen, hypervisor=record.hypervisor)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Start it where it lives or lived; which place that is, if there are several, rule S15 has decided before.

        With several hypervisors all are asked again, as a reboot's look is older than its kill: a second copy ruins
        disks (S15).
        """
        places = sorted((record for record in found.records if record.uuid == vm), key=_not_alive)
        place = places[0].hypervisor
        if len(self._hypervisors) > 1:
            await self._check_nobody_else_has(vm, place, deadline)
        seen = await self._hypervisors[place].power_on(vm, deadline, permit)
        return dataclasses.replace(found, observations=(dataclasses.replace(seen, hypervisor=place),))

    async def _check_nobody_else_has(self, vm: Uuid, place: str, deadline: Deadline) -> None:
        """S15: raises HypervisorError if it may live anywhere but in ``place``."""
        others = [name for name in self._hypervisors if name != place]
        for answer in await asyncio.gather(*(self._find_in(name, vm, deadline) for name in others)):
            if isinstance(answer, HypervisorError):
                raise answer
            if answer is not None and answer.state is not VmState.OFF:
                raise HypervisorError(answer.hypervisor, f"{answer.name} is {answer.state.value} here")


def _not_alive(record: VmRecord) -> bool:
    return record.state not in ALIVE


def _gathered(answers: Sequence[VmRecord | HypervisorError | None], silent: tuple[str, ...] = ()) -> Evidence:
    records = tuple(answer for answer in answers if isinstance(answer, VmRecord))
    failed = tuple(str(answer) for answer in answers if isinstance(answer, HypervisorError))
    return Evidence(records, silent=failed + silent)


def _weight(record: VmRecord) -> int:
    if record.state.is_claim:
        return 2
    return 1 if record.state is VmState.UNKNOWN else 0


async def _first_enough(
    asked: Sequence[asyncio.Task[VmRecord | HypervisorError | None]], patience: float | None
) -> list[VmRecord | HypervisorError | None]:
    """The answers of all, or of those that came within ``patience`` when one of them has the target alive."""
    done, pending = await asyncio.wait(asked, timeout=patience)
    answers = [task.result() for task in done]
    if pending and not any(isinstance(answer, VmRecord) and answer.state in ALIVE for answer in answers):
        await asyncio.wait(pending)
    return [task.result() for task in asked if task.done()]


def _unanswered(names: Sequence[str] | dict[str, Hypervisor], asked: Sequence[asyncio.Task[object]]) -> tuple[str, ...]:
    return tuple(name for name, task in zip(names, asked, strict=True) if not task.done())


def _seen(record: VmRecord, result: Observation | BaseException, deadline: Deadline) -> Observation:
    if isinstance(result, Observation):
        return result
    if not isinstance(result, FencebusError):
        log.error("%s: defect while ending %s", record.hypervisor, record.name, exc_info=result)
    return _unproven(record, deadline, f"{record.hypervisor}: {result}")


def _unproven(record: VmRecord, deadline: Deadline, detail: str) -> Observation:
    return Observation(
        vm=record.uuid,
        state=VmState.UNKNOWN,
        host=record.host,
        incarnation=record.incarnation,
        proof=Proof.NONE,
        seen_at=deadline.clock(),
        detail=detail,
        hypervisor=record.hypervisor,
    )
