"""The knobs of the hypervisor in memory."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.hypervisor import DomainEvent, HypervisorError, HypervisorUnreachable, UnknownDomain
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Proof, Uuid, VmState
from tests.hypervisors import HOST, INCARNATION, allow, soon

VM = Uuid("00000000-0000-0000-0000-000000000001")


@pytest.fixture
def hypervisor() -> MemoryHypervisor:
    return MemoryHypervisor(HOST, INCARNATION, [MemoryVm(VM, "vm1", macs=("52:54:00:00:00:0A",))])


@pytest.mark.parametrize("knob", ("unreachable", "hangs"))
async def test_a_lost_connection_fails_at_the_deadline_and_heals(hypervisor: MemoryHypervisor, knob: str) -> None:
    setattr(hypervisor, knob, True)
    assert getattr(hypervisor, knob)
    for call in (hypervisor.list, hypervisor.wait_ready):
        with pytest.raises(HypervisorUnreachable):
            await call(soon(0.02))
    with pytest.raises(HypervisorUnreachable):
        await hypervisor.power_off(VM, soon(0.02), allow)
    waiting = asyncio.create_task(hypervisor.find("vm1", soon()))
    await asyncio.sleep(0.01)
    setattr(hypervisor, knob, False)
    assert (await waiting) is not None


async def test_a_vm_that_survives_its_kill_is_reported_alive_at_the_deadline(hypervisor: MemoryHypervisor) -> None:
    hypervisor.faults(VM).survives_kill = True
    seen = await hypervisor.power_off(VM, soon(0.05), allow)
    assert (seen.state, seen.proof, seen.ended, seen.detail) == (VmState.RUNNING, Proof.NONE, None, "vm1 is running")


async def test_a_slow_exit_is_waited_for(hypervisor: MemoryHypervisor) -> None:
    hypervisor.faults(VM).exit_takes = 0.05
    assert (await hypervisor.power_off(VM, soon(0.01), allow)).state is VmState.RUNNING
    seen = await hypervisor.power_off(VM, soon(), allow)
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)


async def test_a_vm_in_flight_is_not_off_when_its_process_is_gone(hypervisor: MemoryHypervisor) -> None:
    hypervisor.faults(VM).in_flight = True
    seen = await hypervisor.power_off(VM, soon(), allow)
    assert (seen.state, seen.proof, seen.migration_in_flight) == (VmState.UNKNOWN, Proof.NONE, True)


async def test_the_death_of_an_incoming_process_says_nothing(hypervisor: MemoryHypervisor) -> None:
    hypervisor.happen(VM, VmState.INCOMING)
    assert (await hypervisor.power_off(VM, soon(), allow)).migration_in_flight


async def test_a_start_that_fails_says_why(hypervisor: MemoryHypervisor) -> None:
    await hypervisor.power_off(VM, soon(), allow)
    hypervisor.faults(VM).start_fails = "no memory"
    with pytest.raises(HypervisorError, match="no memory"):
        await hypervisor.power_on(VM, soon(), allow)


async def test_a_start_that_takes_too_long_has_not_happened(hypervisor: MemoryHypervisor) -> None:
    await hypervisor.power_off(VM, soon(), allow)
    hypervisor.faults(VM).start_takes = 1.0
    with pytest.raises(HypervisorError, match="by the deadline"):
        await hypervisor.power_on(VM, soon(0.02), allow)
    record = await hypervisor.find(VM, soon())
    assert record is not None
    assert record.state is VmState.OFF


async def test_a_vm_lives_its_own_life(hypervisor: MemoryHypervisor) -> None:
    heard: list[DomainEvent] = []
    hypervisor.subscribe(heard.append)
    for state in (VmState.PAUSED, VmState.OFF, VmState.RUNNING, VmState.SAVED):
        hypervisor.happen(VM, state)
    hypervisor.undefine(VM)
    assert [event.kind for event in heard] == [
        "suspended",
        "stopped",
        "resumed",
        "started",
        "suspended",
        "job-completed",
        "stopped",
        "undefined",
    ]
    with pytest.raises(UnknownDomain):
        hypervisor.faults(VM)


async def test_time_is_told_by_the_clock_from_outside() -> None:
    hypervisor = MemoryHypervisor(HOST, INCARNATION, [MemoryVm(VM, "vm1")], clock=lambda: 42.0)
    seen = await hypervisor.power_off(VM, Deadline(50.0, lambda: 42.0), allow)
    assert seen.seen_at == 42.0
    assert hypervisor.name == "memory:///"


def test_addresses_are_in_lower_case(hypervisor: MemoryHypervisor) -> None:
    assert hypervisor.neighbours() == [("52:54:00:00:00:0a", VM)]


async def test_s12_what_is_late_is_not_looked_at_though_nothing_is_in_its_way(hypervisor: MemoryHypervisor) -> None:
    with pytest.raises(HypervisorUnreachable, match="no answer until the deadline"):
        await hypervisor.wait_ready(Deadline.after(-1.0))
    with pytest.raises(HypervisorError):
        await hypervisor.list(Deadline.after(-1.0))
