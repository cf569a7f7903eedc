"""Power actions where a VM is, or may be, on several hypervisors of one host."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryVm
from fencebus_schemas.model import Action, Reason, VmState
from tests.host_agent.evidence import OTHER, VM
from tests.host_agent.house import memory_hypervisor, opened


async def test_s3_a_vm_that_runs_in_two_places_is_ended_in_both(tmp_path: Path) -> None:
    twice = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    async with opened(tmp_path, *twice) as house:
        outcome = (await house.ask(Action.OFF)).outcome
        assert outcome.reason is Reason.PROVEN_OFF
        assert {seen.hypervisor for seen in outcome.observations} == {"a", "b"}
        assert await house.state(VM, 0) is await house.state(VM, 1) is VmState.OFF


async def test_s3_a_vm_that_survives_in_one_of_two_places_is_not_fenced(tmp_path: Path) -> None:
    twice = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    twice[1].faults(VM).survives_kill = True
    async with opened(tmp_path, *twice) as house:
        assert not (await house.ask(Action.OFF, patience=0.4)).outcome.ok
        assert [kill[0] for kill in await house.records.kills()] == [VM]


async def test_s2_a_silent_hypervisor_does_not_hinder_the_end_of_a_life_that_another_has(
    tmp_path: Path, impatient: None
) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "vm"), name="a"), memory_hypervisor(MemoryVm(OTHER, "other"), name="b")
    async with opened(tmp_path, a, b) as house:
        b.hangs = True
        assert (await house.ask(Action.OFF)).outcome.reason is Reason.PROVEN_OFF
        assert (await house.ask(Action.STATUS, patience=0.4)).outcome.reason is Reason.NOT_PROVEN


@pytest.mark.parametrize("state", (VmState.OFF, VmState.SAVED))
async def test_s2_at_rest_here_says_nothing_about_a_silent_hypervisor(
    tmp_path: Path, impatient: None, state: VmState
) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "vm", state), name="a"), memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    async with opened(tmp_path, a, b) as house:
        b.hangs = True
        assert not (await house.ask(Action.OFF, patience=0.4)).outcome.ok
        b.hangs = False
        assert await house.state(VM, 1) is VmState.RUNNING


async def test_s8_no_name_is_resolved_while_a_hypervisor_is_silent(tmp_path: Path, impatient: None) -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "twin"), name="a"), memory_hypervisor(MemoryVm(OTHER, "twin"), name="b")
    async with opened(tmp_path, a, b) as house:
        b.hangs = True
        outcome = (await house.ask(Action.OFF, "twin", patience=0.4)).outcome
        assert (outcome.ok, outcome.reason) == (False, Reason.NOT_PROVEN)
        assert await house.state(VM) is VmState.RUNNING


async def test_s15_what_two_hypervisors_define_is_started_by_neither(tmp_path: Path) -> None:
    places = [memory_hypervisor(MemoryVm(VM, "vm", VmState.OFF), name=name) for name in "ab"]
    async with opened(tmp_path, *places) as house:
        assert (await house.ask(Action.ON)).outcome.reason is Reason.NOT_STARTED
        assert house.router.started == []


async def test_s15_a_reboot_starts_on_the_hypervisor_that_had_it_alive(tmp_path: Path) -> None:
    a = memory_hypervisor(MemoryVm(VM, "vm", VmState.OFF), name="a")
    b = memory_hypervisor(MemoryVm(VM, "vm"), name="b")
    async with opened(tmp_path, a, b) as house:
        assert (await house.ask(Action.REBOOT)).outcome.reason is Reason.REBOOTED
        assert (await house.state(VM, 0), await house.state(VM, 1)) == (VmState.OFF, VmState.RUNNING)
