"""The local router by itself: what it gathers, and what it never makes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from fencebus_agent.hypervisor import ActRefused, HypervisorError, HypervisorUnreachable, Permit
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.routers import local
from fencebus_host.routers.local import LocalRouter
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life, Observation, Proof, Reason, Uuid, VmState
from tests.elapsed import Stopwatch
from tests.host_agent.evidence import HERE, INCARNATION, OTHER, VM
from tests.host_agent.house import memory_hypervisor
from tests.hypervisors import eventually


def soon(seconds: float = 0.1) -> Deadline:
    return Deadline.after(seconds)


def permit(_life: Life | None) -> None:
    """Everything is allowed."""


def refuse(_life: Life | None) -> None:
    raise ActRefused(Reason.DEADLINE)


def places(*states: VmState) -> list[MemoryHypervisor]:
    """One hypervisor for each state, each with the same VM."""
    names = ("a", "b", "c")
    return [memory_hypervisor(MemoryVm(VM, "vm", state), name=name) for name, state in zip(names, states, strict=False)]


class BrokenHypervisor(MemoryHypervisor):
    """One whose driver has a defect."""

    async def power_off(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Break."""
        raise ValueError("a defect")


# -- finding ----------


async def test_a_record_says_which_hypervisor_has_it() -> None:
    found = await LocalRouter(places(VmState.RUNNING, VmState.OFF)).find("vm", soon())
    assert [(each.hypervisor, each.state) for each in found.records] == [("a", VmState.RUNNING), ("b", VmState.OFF)]
    assert found.silent == ()


async def test_nobody_has_it_and_nobody_was_silent() -> None:
    found = await LocalRouter(places(VmState.RUNNING)).find(OTHER, soon())
    assert (found.records, found.silent) == ((), ())


async def test_a_single_hypervisor_that_is_silent_is_named_with_its_error() -> None:
    (only,) = places(VmState.RUNNING)
    only.unreachable = True
    found = await LocalRouter([only]).find(VM, soon())
    assert found.records == ()
    assert found.silent == ("a: no answer until the deadline",)


@pytest.mark.parametrize("state", (VmState.RUNNING, VmState.PAUSED))
async def test_who_has_the_target_alive_is_not_held_up_by_a_silent_one(
    state: VmState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 0.02)
    a, b = places(state, VmState.OFF)
    b.hangs = True
    watch = Stopwatch()
    found = await LocalRouter([a, b]).find(VM, soon(30))
    assert found.silent == ("b",)
    assert watch.undisturbed < 1


@pytest.mark.parametrize("state", (VmState.OFF, VmState.SAVED, VmState.INCOMING))
async def test_else_a_silent_one_is_waited_for(state: VmState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 0.02)
    a, b = places(state, VmState.RUNNING)
    b.hangs = True
    asyncio.get_running_loop().call_later(0.1, setattr, b, "hangs", False)
    found = await LocalRouter([a, b]).find(VM, soon(30))
    assert [each.state for each in found.records] == [state, VmState.RUNNING]


async def test_a_name_is_asked_of_everybody_though_one_has_such_a_vm_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    # S8: the silent one may have another VM of that name.
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 0.02)
    a, b = memory_hypervisor(MemoryVm(VM, "twin"), name="a"), memory_hypervisor(MemoryVm(OTHER, "twin"), name="b")
    b.hangs = True
    asyncio.get_running_loop().call_later(0.1, setattr, b, "hangs", False)
    found = await LocalRouter([a, b]).find("twin", soon(30))
    assert [each.uuid for each in found.records] == [VM, OTHER]


async def test_nothing_keeps_asking_after_find_has_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 0.02)
    a, b = places(VmState.RUNNING, VmState.OFF)
    b.hangs = True
    await LocalRouter([a, b]).find(VM, soon(30))
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})


# -- the list ----------


@pytest.mark.parametrize(
    ("states", "shown"),
    (
        ((VmState.OFF, VmState.RUNNING), VmState.RUNNING),
        ((VmState.RUNNING, VmState.OFF), VmState.RUNNING),
        ((VmState.OFF, VmState.UNKNOWN), VmState.UNKNOWN),
        ((VmState.UNKNOWN, VmState.OFF), VmState.UNKNOWN),
        ((VmState.UNKNOWN, VmState.PAUSED), VmState.PAUSED),
        ((VmState.OFF, VmState.OFF), VmState.OFF),
    ),
)
async def test_a_vm_is_listed_once_as_the_place_that_claims_most_says(
    states: Sequence[VmState], shown: VmState
) -> None:
    listed = await LocalRouter(places(*states)).list(soon())
    assert [each.state for each in listed] == [shown]


async def test_a_list_and_a_check_fail_if_one_hypervisor_is_silent() -> None:
    a, b = places(VmState.RUNNING, VmState.RUNNING)
    b.unreachable = True
    router = LocalRouter([a, b])
    with pytest.raises(HypervisorUnreachable):
        await router.list(soon(0.02))
    with pytest.raises(HypervisorUnreachable):
        await router.check(soon(0.02))
    b.unreachable = False
    await router.check(soon())


# -- ending ----------


async def test_s3_each_place_gives_an_observation_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 30.0)
    router = LocalRouter(places(VmState.RUNNING, VmState.OFF, VmState.SAVED))
    ended = await router.power_off(VM, await router.find(VM, soon()), soon(), permit)
    assert [(seen.hypervisor, seen.state, seen.was) for seen in ended.observations] == [
        ("a", VmState.OFF, VmState.RUNNING),
        ("b", VmState.OFF, VmState.OFF),
        ("c", VmState.OFF, VmState.SAVED),
    ]


async def test_what_one_place_brought_is_kept_though_another_failed() -> None:
    a, b = places(VmState.RUNNING, VmState.RUNNING)
    router = LocalRouter([a, b])
    found = await router.find(VM, soon())
    b.hangs = True
    ended = await router.power_off(VM, found, soon(0.02), permit)
    assert [seen.proof for seen in ended.observations] == [Proof.PROCESS_EXIT, Proof.NONE]
    assert ended.observations[1].detail == "b: b: no answer until the deadline"


async def test_a_defect_in_one_place_is_logged_and_proves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    broken = BrokenHypervisor(HERE, INCARNATION, [MemoryVm(VM, "vm")], name="b")
    router = LocalRouter([*places(VmState.RUNNING), broken])
    ended = await router.power_off(VM, await router.find(VM, soon()), soon(), permit)
    assert ended.observations[1].proof is Proof.NONE
    assert any(line.exc_info and line.levelno == logging.ERROR for line in caplog.records)


async def test_where_every_place_refuses_the_refusal_is_raised() -> None:
    router = LocalRouter(places(VmState.RUNNING, VmState.RUNNING))
    found = await router.find(VM, soon())
    with pytest.raises(ActRefused):
        await router.power_off(VM, found, soon(), refuse)


async def test_without_records_nothing_is_ended_and_nothing_observed() -> None:
    router = LocalRouter(places(VmState.RUNNING))
    found = await router.find(OTHER, soon())
    assert (await router.power_off(OTHER, found, soon(), permit)).observations == ()


async def test_s14_a_vm_that_vanished_is_in_flight() -> None:
    (only,) = places(VmState.RUNNING)
    router = LocalRouter([only])
    found = await router.find(VM, soon())
    only.undefine(VM)
    (seen,) = (await router.power_off(VM, found, soon(), permit)).observations
    assert (seen.state, seen.proof, seen.migration_in_flight) == (VmState.UNKNOWN, Proof.NONE, True)


# -- starting (S15) ----------


async def test_s15_of_several_places_the_one_where_it_runs_is_asked_not_the_one_with_a_saved_image() -> None:
    a, b = places(VmState.SAVED, VmState.RUNNING)
    router = LocalRouter([a, b])
    found = await router.find(VM, soon())
    with pytest.raises(HypervisorError, match="saved here"):
        await router.power_on(VM, found, soon(), permit)
    a.happen(VM, VmState.OFF)
    on = await router.power_on(VM, found, soon(), permit)
    assert [seen.hypervisor for seen in on.observations] == ["b"]
    still = await a.find(VM, soon())
    assert still is not None
    assert still.state is VmState.OFF


async def test_s15_what_began_to_run_elsewhere_after_the_look_is_not_started_a_second_time() -> None:
    a, b = places(VmState.RUNNING, VmState.OFF)
    router = LocalRouter([a, b])
    found = await router.find(VM, soon())
    a.happen(VM, VmState.OFF)
    b.happen(VM, VmState.RUNNING)
    with pytest.raises(HypervisorError, match="running here"):
        await router.power_on(VM, found, soon(), permit)
    mine = await a.find(VM, soon())
    assert mine is not None
    assert mine.state is VmState.OFF


async def test_s15_nothing_is_started_while_another_hypervisor_is_silent() -> None:
    a, b = places(VmState.OFF, VmState.OFF)
    router = LocalRouter([a, b])
    found = await router.find(VM, soon())
    b.hangs = True
    with pytest.raises(HypervisorUnreachable):
        await router.power_on(VM, found, soon(0.02), permit)


async def test_s15_a_hypervisor_that_does_not_know_the_vm_is_no_obstacle() -> None:
    a, b = memory_hypervisor(MemoryVm(VM, "vm", VmState.OFF), name="a"), memory_hypervisor(MemoryVm(OTHER, "o"))
    router = LocalRouter([a, b])
    on = await router.power_on(VM, await router.find(VM, soon()), soon(), permit)
    assert on.observations[0].state is VmState.RUNNING


# -- living ----------


async def test_run_keeps_every_hypervisor_running_until_it_is_cancelled() -> None:
    running = asyncio.create_task(LocalRouter(places(VmState.OFF, VmState.OFF)).run())
    await eventually(lambda: {"hypervisor a", "hypervisor b"} <= {task.get_name() for task in asyncio.all_tasks()})
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
