"""Several routers in an order, on hypervisors in memory that fail where a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fencebus_agent.hypervisor import HypervisorError, Permit, UnknownDomain
from fencebus_agent.memory_driver import MemoryVm
from fencebus_host import verdict
from fencebus_host.routers import ordered
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.ordered import OrderedRouter
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceOutcome, Life, Reason, Uuid, VmRecord, VmState
from tests.host_agent.evidence import OTHER, THIRD, VM, request
from tests.host_agent.house import memory_hypervisor


class Manager(LocalRouter):
    """A router that may be down."""

    def __init__(self, name: str, *vms: MemoryVm) -> None:
        super().__init__([memory_hypervisor(*vms, name=name)])
        self.name = name
        self.down = False
        self.asked: list[str] = []
        self.acted: list[str] = []

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """As the local router, if up."""
        self.asked.append(target)
        if self.down:
            raise HypervisorError(self.name, "no answer")
        return await super().find(target, deadline)

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """As the local router, if up."""
        if self.down:
            raise HypervisorError(self.name, "no answer")
        return await super().list(deadline)

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """As the local router."""
        self.acted.append(vm)
        return await super().power_off(vm, found, deadline, permit)

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """As the local router."""
        self.acted.append(vm)
        return await super().power_on(vm, found, deadline, permit)


NOTHING = MemoryVm(Uuid("99999999-9999-9999-9999-999999999999"), "nothing")


def free(_life: Life | None) -> None:
    """A permit that forbids nothing."""


def soon() -> Deadline:
    return Deadline.after(30)


async def off(router: OrderedRouter, target: str) -> FenceOutcome:
    """The outcome of a whole off."""
    asked = request(Action.OFF, target, received_at=boottime())
    found = await router.find(target, soon())
    objection = verdict.first_objection(asked, found, verdict.DOOR_RULES)
    if objection:
        return verdict.failure(asked, objection, found)
    await asyncio.sleep(0.001)
    return verdict.decide_off(asked, await router.power_off(found.records[0].uuid, found, soon(), free))


async def test_a_vm_is_ended_by_the_first_router_that_knows_it() -> None:
    manager, local = (
        Manager("ovirt", MemoryVm(VM, "vm")),
        Manager("local", MemoryVm(VM, "vm"), MemoryVm(OTHER, "other")),
    )
    router = OrderedRouter([manager, local])
    assert (await off(router, VM)).ok
    assert (await off(router, "other")).ok
    assert (manager.acted, local.acted) == ([VM], [OTHER])
    assert router.name == "ovirt, local"


async def test_a_router_that_is_down_does_not_hand_its_vm_to_the_next() -> None:
    manager, local = Manager("ovirt", MemoryVm(VM, "vm")), Manager("local", MemoryVm(VM, "vm"))
    router = OrderedRouter([manager, local])
    manager.down = True
    for target in (VM, "vm"):
        outcome = await off(router, target)
        assert outcome.reason is Reason.HYPERVISOR_ERROR
        assert "ovirt: no answer" in outcome.text
    assert local.acted == []
    assert local.asked == ["vm"], "for a UUID nobody behind the silent one is even asked"


async def test_a_vm_of_an_earlier_router_is_fenced_while_a_later_one_is_down() -> None:
    manager, local = Manager("ovirt", MemoryVm(VM, "vm")), Manager("local", NOTHING)
    local.down = True
    assert (await off(OrderedRouter([manager, local]), VM)).ok


async def test_a_name_of_two_different_vms_is_ambiguous() -> None:
    router = OrderedRouter([Manager("a", MemoryVm(VM, "vm")), Manager("b", MemoryVm(OTHER, "vm"))])
    assert (await off(router, "vm")).reason is Reason.AMBIGUOUS_NAME


async def test_an_earlier_router_that_knows_the_vm_by_another_name_has_it() -> None:
    manager, local = Manager("ovirt", MemoryVm(VM, "managed")), Manager("local", MemoryVm(VM, "vm"))
    assert (await off(OrderedRouter([manager, local]), "vm")).ok
    assert (manager.acted, local.acted) == ([VM], [])


async def test_on_goes_to_the_same_router_and_a_vm_that_nobody_found_to_none() -> None:
    manager, local = Manager("ovirt", NOTHING), Manager("local", MemoryVm(VM, "vm", VmState.OFF))
    router = OrderedRouter([manager, local])
    with pytest.raises(UnknownDomain):
        await router.power_on(VM, Evidence(()), soon(), free)
    found = await router.find(VM, soon())
    assert (await router.power_on(VM, found, soon(), free)).observations[0].state is VmState.RUNNING
    assert local.acted == [VM]


async def test_a_list_has_each_vm_once_as_its_router_has_it_and_fails_with_any_router() -> None:
    manager = Manager("ovirt", MemoryVm(VM, "managed"), MemoryVm(OTHER, "other"))
    local = Manager("local", MemoryVm(VM, "vm"), MemoryVm(THIRD, "third"))
    router = OrderedRouter([manager, local])
    assert {vm.name for vm in await router.list(soon())} == {"managed", "other", "third"}
    await router.check(soon())
    local.down = True
    for ask in (router.list, router.check):
        with pytest.raises(HypervisorError, match="local"):
            await ask(soon())


async def test_all_routers_run_and_end_together() -> None:
    hypervisors = [Manager("a"), Manager("b")]
    task = asyncio.create_task(OrderedRouter(hypervisors).run())
    await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_no_more_vms_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "MOST_REMEMBERED", 2)
    router = OrderedRouter([Manager("a")])
    for vm in (VM, OTHER, THIRD):
        await router.find(vm, soon())
    assert len(router._found) == 2


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whoever_is_down_nobody_acts_but_the_first_that_knows_the_vm(
    world: list[tuple[bool, bool]], named: bool
) -> None:
    """Each router of ``world``: does it know the VM, is it down."""
    asyncio.run(_check_world(world, "vm" if named else VM))


async def _check_world(world: list[tuple[bool, bool]], target: str) -> None:
    routers = [
        Manager(f"r{place}", *([MemoryVm(VM, "vm")] if knows else [NOTHING])) for place, (knows, _) in enumerate(world)
    ]
    for router, (_, down) in zip(routers, world, strict=True):
        router.down = down
    outcome = await off(OrderedRouter(routers), target)
    owner = next((place for place, (knows, _) in enumerate(world) if knows), None)
    acted = [place for place, router in enumerate(routers) if router.acted]
    assert acted in ([], [owner])
    up = owner is not None and not any(down for _, down in world[: owner + 1])
    assert outcome.ok == (up and (target == VM or not any(down for _, down in world)))
