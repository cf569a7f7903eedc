"""One list of devices from several hypervisors, some of which are silent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import HypervisorUnreachable
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.all_devices import all_devices
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmState
from tests.elapsed import Stopwatch

HOST = HostId("host1")
INCARNATION = Incarnation("boot", "machine", "nonce")


def hypervisor(number: int, *, silent: bool = False) -> MemoryHypervisor:
    """One with one guest, whose CID is the number."""
    vm = MemoryVm(Uuid(f"00000000-0000-0000-0000-{number:012d}"), f"vm{number}", VmState.RUNNING, cid=number)
    made = MemoryHypervisor(HOST, INCARNATION, (vm,), f"memory:///{number}")
    made.unreachable = silent
    return made


async def cids(*hypervisors: MemoryHypervisor) -> list[int | None]:
    return [guest.cid for guest in await all_devices(hypervisors, seconds=0.5, courtesy=0.1)]


async def test_the_guests_of_all_hypervisors_are_one_list() -> None:
    assert await cids(hypervisor(3), hypervisor(4)) == [3, 4]
    assert await cids() == []


async def test_a_silent_hypervisor_hides_nobody_elses_guests_and_is_not_waited_for_to_the_end() -> None:
    watch = Stopwatch()
    assert await cids(hypervisor(3, silent=True), hypervisor(4)) == [4]
    assert watch.undisturbed < 0.4


async def test_a_hypervisor_that_fails_at_once_does_not_end_the_wait_for_one_that_answers() -> None:
    class Late(MemoryHypervisor):
        async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
            await asyncio.sleep(0.1)
            return await super().devices(deadline)

    class Broken(MemoryHypervisor):
        async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
            raise HypervisorUnreachable(self.name, "no connection")

    late = Late(HOST, INCARNATION, (MemoryVm(Uuid("00000000-0000-0000-0000-000000000005"), "vm5", cid=5),))
    assert await cids(Broken(HOST, INCARNATION), late) == [5]


async def test_where_nobody_answers_that_is_an_error() -> None:
    with pytest.raises(HypervisorUnreachable):
        await cids(hypervisor(3, silent=True), hypervisor(4, silent=True))


async def test_what_is_no_silence_is_not_swallowed() -> None:
    class Defective(MemoryHypervisor):
        async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
            raise KeyError("a defect")

    with pytest.raises(KeyError):
        await cids(hypervisor(3), Defective(HOST, INCARNATION))
