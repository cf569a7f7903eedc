"""The router to oVirt and RHEV-M: the VMs that one manager keeps, or several, wherever their hosts are."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fencebus_agent.hypervisor import ActRefused, HypervisorError, Permit
from fencebus_host.objection import Objection
from fencebus_host.routers.ovirt.acting import Acting
from fencebus_host.routers.ovirt.answers import ManagerError, Trouble
from fencebus_host.routers.ovirt.engine import Engine
from fencebus_host.routers.ovirt.readings import VmReading
from fencebus_host.routers.ovirt.states import vm_state
from fencebus_host.routers.ovirt.steps import Ending
from fencebus_host.verdict import ALIVE, Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Observation, Reason, Uuid, VmRecord, VmState, as_uuid

log = logging.getLogger(__name__)

T = TypeVar("T")
Found = Sequence[VmReading] | ManagerError

LOOK_SECONDS = 60.0
"""Between two looks at each manager, which also keep our login there alive."""
LOOK_AGAIN = 10.0
"""The same while a manager does not answer."""
CHECK_SECONDS = 10.0
PATIENCE_WITH_A_LIFE = 1.0
"""Seconds to wait for the other managers when one has already said that the target is alive there."""
MARGIN = 0.3
"""Seconds before the deadline at which a silent manager is given up, so that the reason is told in time."""


class OvirtRouter:
    """Asks and commands managers."""

    def __init__(self, name: str, engines: Sequence[Engine], incarnation: Incarnation) -> None:
        self._name = name
        self._engines = {engine.name: engine for engine in engines}
        self._incarnation = incarnation
        self._troubles: dict[str, str] = {}

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return self._name

    @property
    def trouble(self) -> str | None:
        """Which managers are out of reach, and why; ``None`` if all of them answered when they were last asked."""
        return "; ".join(self._troubles.values()) or None

    async def run(self) -> None:
        """Look at every manager from time to time, so that a fence finds a login, and trouble is known before."""
        try:
            async with asyncio.TaskGroup() as group:
                for engine in self._engines.values():
                    group.create_task(self._watch(engine), name=f"manager {engine.name}")
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the connections back; they are opened again by whoever needs one."""
        for engine in self._engines.values():
            await engine.close()

    async def _watch(self, engine: Engine) -> None:
        while True:
            try:
                await engine.check(Deadline.after(CHECK_SECONDS))
                self._note(engine.name, "")
            except ManagerError as error:
                self._note(engine.name, str(error))
            await asyncio.sleep(LOOK_AGAIN if engine.name in self._troubles else LOOK_SECONDS)

    def _note(self, manager: str, trouble: str) -> None:
        before = self._troubles.pop(manager, "")
        if trouble:
            self._troubles[manager] = trouble
        if trouble and not before:
            log.error("manager %s", trouble)
        elif before and not trouble:
            log.info("manager %s answers again", manager)

    # -- finding ----------

    async def check(self, deadline: Deadline) -> None:
        """Every manager answers and knows the account; raises HypervisorError naming one that does not."""
        await self._of_each(lambda engine: engine.check(deadline))

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs of all managers; raises HypervisorError."""
        soon = _sooner(deadline)
        lists = await self._of_each(lambda engine: engine.list(soon))
        records: dict[Uuid, VmRecord] = {}
        for name, found in zip(self._engines, lists, strict=True):
            for record in (self._record(name, vm) for vm in found):
                known = records.get(record.uuid)
                if known is None or not known.state.is_claim:
                    records[record.uuid] = record
        return tuple(records.values())

    async def _of_each(self, ask: Callable[[Engine], Awaitable[T]]) -> Sequence[T]:
        try:
            return await asyncio.gather(*(ask(engine) for engine in self._engines.values()))
        except ManagerError as error:
            raise HypervisorError(error.manager, error.detail) from error

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """Ask all managers at once.  A refusal by one of them is an objection, and so is "permission denied" (3)."""
        soon = _sooner(deadline)
        asked = [asyncio.create_task(_answer(engine, target, soon)) for engine in self._engines.values()]
        try:
            answers = await self._enough(asked, PATIENCE_WITH_A_LIFE if as_uuid(target) else None)
        finally:
            for task in asked:
                task.cancel()
        return self._gathered(answers)

    async def _enough(self, asked: Sequence[asyncio.Task[Found]], patience: float | None) -> Sequence[Found]:
        """The answers of all; or of those that came within ``patience``, when one of them has the target alive."""
        done, pending = await asyncio.wait(asked, timeout=patience)
        answers = [task.result() for task in done]
        if pending and not any(_is_alive(answer) for answer in answers):
            await asyncio.wait(pending)
        return [
            task.result() if task.done() else ManagerError(name, Trouble.SILENT, "no answer so far")
            for name, task in zip(self._engines, asked, strict=True)
        ]

    def _gathered(self, answers: Sequence[Found]) -> Evidence:
        records: list[VmRecord] = []
        silent: list[str] = []
        objection: Objection | None = None
        for name, answer in zip(self._engines, answers, strict=True):
            if isinstance(answer, ManagerError):
                silent.append(str(answer))
                objection = objection or _denial(answer)
            else:
                records += [self._record(name, vm) for vm in answer]
        # Who has it, has it: the refusal of another manager matters only where nobody does.
        return Evidence(tuple(records), silent=tuple(silent), objection=None if records else objection)

    def _record(self, manager: str, vm: VmReading) -> VmRecord:
        return VmRecord(
            uuid=vm.uuid,
            name=vm.name,
            state=vm_state(vm.status),
            host=HostId(vm.host),
            incarnation=self._incarnation,
            hypervisor=manager,
        )

    # -- acting ----------

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """S3: end the life at every manager that knows the VM, all at once; each must confirm for itself."""
        places = [record for record in found.records if record.uuid == vm]
        acts = [self._acting(place, deadline, permit).off() for place in places]
        results = await asyncio.gather(*acts, return_exceptions=True)
        refusals = [result for result in results if isinstance(result, BaseException)]
        if len(refusals) == len(results):
            raise refusals[0]
        endings = [_ending(result, deadline) for result in results]
        seen = tuple(self._observed(*each) for each in zip(places, endings, strict=True))
        return dataclasses.replace(found, observations=seen, objection=_objection(endings) or found.objection)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Start it where it lives or lived; that there is one such place only, rule S15 has decided before."""
        places = sorted((record for record in found.records if record.uuid == vm), key=_not_alive)
        ending = await self._acting(places[0], deadline, permit).on()
        if ending.denied:
            return dataclasses.replace(found, objection=Objection(Reason.DENIED, ending.detail))
        if ending.state not in ALIVE:
            raise HypervisorError(places[0].hypervisor, ending.detail or "it was not seen running in time")
        return dataclasses.replace(found, observations=(self._observed(places[0], ending),))

    def _acting(self, place: VmRecord, deadline: Deadline, permit: Permit) -> Acting:
        return Acting(self._engines[place.hypervisor], place.uuid, deadline, permit)

    def _observed(self, place: VmRecord, ending: Ending) -> Observation:
        return Observation(
            vm=place.uuid,
            state=ending.state,
            host=place.host,
            incarnation=self._incarnation,
            proof=ending.proof,
            seen_at=ending.seen_at,
            was=ending.was,
            ended=ending.ended,
            detail=ending.detail,
            hypervisor=place.hypervisor,
        )


async def _answer(engine: Engine, target: str, deadline: Deadline) -> Found:
    try:
        return await engine.find(target, deadline)
    except ManagerError as error:
        return error


def _is_alive(answer: Found) -> bool:
    return not isinstance(answer, ManagerError) and any(vm_state(vm.status) in ALIVE for vm in answer)


def _sooner(deadline: Deadline) -> Deadline:
    return dataclasses.replace(deadline, at=deadline.at - MARGIN)


def _not_alive(record: VmRecord) -> bool:
    return record.state not in ALIVE


def _denial(error: ManagerError) -> Objection | None:
    return Objection(Reason.DENIED, str(error)) if error.trouble is Trouble.DENIED else None


def _objection(endings: Sequence[Ending]) -> Objection | None:
    return next((Objection(Reason.DENIED, ending.detail) for ending in endings if ending.denied), None)


def _ending(result: Ending | BaseException, deadline: Deadline) -> Ending:
    """What became of one place; an act that was refused there, or broke, proves nothing."""
    if isinstance(result, Ending):
        return result
    if not isinstance(result, ActRefused):
        log.error("defect while ending a VM", exc_info=result)
    return Ending(VmState.UNKNOWN, seen_at=deadline.clock(), detail=str(result))
