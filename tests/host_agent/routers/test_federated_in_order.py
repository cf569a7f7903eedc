"""Hosts that fence together, and another manager behind them in the order: a VM is handed on to it only by them all."""

from __future__ import annotations

import asyncio

from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host import verdict
from fencebus_host.policy import Policy
from fencebus_host.routers.federated.build import Membership, build
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.ordered import OrderedRouter
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, HostId, Incarnation, Reason, VmState
from tests.host_agent.federated_site import Disk, described, fence_request, vm

A, B = HostId("a"), HostId("b")
KEY = b"the hosts' own key"


async def test_s2_what_a_host_may_have_that_nobody_has_heard_is_not_declared_off_by_another_manager() -> None:
    mine, incarnation = [described(1)], Incarnation("boot", "machine", "1")
    membership = Membership(A, incarnation, (KEY,), frozenset((A, B)))
    federated = build(
        membership, MemoryHypervisor(A, incarnation, mine), MemoryBus(MemoryBroker(), A), Disk(), lambda: Policy(None)
    )
    # The other manager has an old definition of what runs on the host that was not heard yet.
    left_behind = MemoryVm(vm(2), "vm2", VmState.OFF)
    manager = LocalRouter([MemoryHypervisor(HostId("manager"), incarnation, [left_behind])])
    running = asyncio.create_task(federated.run())
    try:
        for target in (vm(2), "vm2"):
            found = await OrderedRouter((federated, manager)).find(target, Deadline.after(30))
            asked = fence_request(Action.OFF, target)
            objection = verdict.first_objection(asked, found, verdict.DOOR_RULES)
            assert objection is not None
            assert objection.reason in (Reason.HYPERVISOR_ERROR, Reason.NOT_PROVEN)
            assert "b did not" in objection.text
        found = await OrderedRouter((federated, manager)).find(vm(1), Deadline.after(30))
        assert [record.state for record in found.records] == [VmState.RUNNING]
        assert not found.silent
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
