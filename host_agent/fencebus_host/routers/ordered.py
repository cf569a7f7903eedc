"""Several routers in the administrator's order: the first that knows a VM has it.  A shell around the choice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fencebus_agent.hypervisor import HypervisorError, Permit, UnknownDomain
from fencebus_host.ports import Router, Troubled
from fencebus_host.routers import choice
from fencebus_host.routers.choice import Choice
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid, VmRecord, as_uuid

MOST_REMEMBERED = 10_000
"""VMs whose router is remembered between finding and acting; the oldest go first."""

_Place = tuple[Uuid, str, str]


class OrderedRouter:
    """Routers in their order."""

    def __init__(self, routers: Sequence[Router]) -> None:
        self._routers = tuple(routers)
        self._found: dict[_Place, Router] = {}

    @property
    def name(self) -> str:
        """Their names in their order."""
        return ", ".join(router.name for router in self._routers)

    @property
    def routers(self) -> tuple[Router, ...]:
        """In their order."""
        return self._routers

    @property
    def trouble(self) -> str | None:
        """What is out of reach behind any of them."""
        troubles = [router.trouble for router in self._routers if isinstance(router, Troubled)]
        return "; ".join(trouble for trouble in troubles if trouble) or None

    async def run(self) -> None:
        """Run them all."""
        async with asyncio.TaskGroup() as group:
            for router in self._routers:
                group.create_task(router.run(), name=f"router {router.name}")

    async def check(self, deadline: Deadline) -> None:
        """All of them work; raises HypervisorError naming one that does not."""
        await asyncio.gather(*(router.check(deadline) for router in self._routers))

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs, each once, as its own router has it."""
        lists = await asyncio.gather(*(router.list(deadline) for router in self._routers))
        records: dict[Uuid, VmRecord] = {}
        for record in (record for each in lists for record in each):
            records.setdefault(record.uuid, record)
        return tuple(records.values())

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """A UUID is asked for in the order; a name everywhere at once, as it may be ambiguous."""
        uuid = as_uuid(target)
        found = await (self._named(target, deadline) if uuid is None else self._identified(uuid, deadline))
        if found.router is not None:
            self._remember(found.evidence, self._routers[found.router])
        return found.evidence

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Have its router end it."""
        return await self._router_of(vm, found).power_off(vm, found, deadline, permit)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Have its router start it."""
        return await self._router_of(vm, found).power_on(vm, found, deadline, permit)

    # -- whose it is ----------

    async def _named(self, name: str, deadline: Deadline) -> Choice:
        answers = await asyncio.gather(*(_asked(router, name, deadline) for router in self._routers))
        found = choice.by_name(answers)
        if not found.router:
            return found
        # An earlier router may know the VM by another name: the UUID decides.
        earlier = await self._identified(found.evidence.records[0].uuid, deadline, found.router)
        return earlier if choice.settles(earlier.evidence) else found

    async def _identified(self, uuid: Uuid, deadline: Deadline, before: int | None = None) -> Choice:
        answers: list[Evidence] = []
        for router in self._routers[:before]:
            answers.append(await _asked(router, uuid, deadline))
            if choice.settles(answers[-1]):
                break
        return choice.by_uuid(answers)

    def _remember(self, found: Evidence, router: Router) -> None:
        for record in found.records:
            place = _place(record)
            self._found.pop(place, None)
            self._found[place] = router
        while len(self._found) > MOST_REMEMBERED:
            del self._found[next(iter(self._found))]

    def _router_of(self, vm: Uuid, found: Evidence) -> Router:
        routers = [self._found.get(_place(record)) for record in found.records if record.uuid == vm]
        if not routers or routers[0] is None:
            raise UnknownDomain(self.name, f"nobody has found {vm}")
        return routers[0]


def _place(record: VmRecord) -> _Place:
    return record.uuid, record.host, record.hypervisor


async def _asked(router: Router, target: str, deadline: Deadline) -> Evidence:
    """What one router says; one that fails is silent."""
    try:
        return await router.find(target, deadline)
    except HypervisorError as error:
        return Evidence((), silent=(str(error),))
