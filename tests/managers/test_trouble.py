"""Managers that hang, restart, lie, and talk nonsense: a fence waits while there is hope, and takes nothing for off."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_host.routers.ovirt import engine as engine_module
from fencebus_host.routers.ovirt.answers import ManagerError
from fencebus_host.routers.ovirt.trust import believed
from fencebus_host.routers.ovirt.wire import Request, Wire
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Proof, VmState
from tests.elapsed import Stopwatch
from tests.managers.faults import Wrong
from tests.managers.fencing import off, on, until, yes
from tests.managers.site import NODE1, NODE3, router_to, settings
from tests.managers.stand_in import StandIn

PASSES = (Wrong.RESET, Wrong.UNAVAILABLE, Wrong.GARBAGE, Wrong.DOCTYPE, Wrong.REDIRECT, Wrong.ANOTHER, Wrong.SLOW)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience that fits a test."""
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(engine_module, "ACT_SECONDS", 0.5)


@pytest.mark.parametrize("wrong", PASSES)
async def test_a_look_that_goes_wrong_once_is_taken_again(engine: StandIn, tmp_path: Path, wrong: Wrong) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find(NODE1, Deadline.after(30))
        engine.traps.add(wrong, f"GET .*/vms/{NODE1}$", times=1)
        (seen,) = (await router.power_off(found.records[0].uuid, found, Deadline.after(30), yes)).observations
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)


@pytest.mark.parametrize("wrong", (*PASSES, Wrong.HANG, Wrong.STARTING))
async def test_a_search_that_goes_wrong_is_nobodys_absence(engine: StandIn, tmp_path: Path, wrong: Wrong) -> None:
    engine.traps.add(wrong, "GET .*/vms")
    async with router_to(tmp_path, settings(engine)) as router:
        for target in (NODE1, "node1"):
            found = await router.find(target, Deadline.after(1.2))
            assert found.records == ()
            assert found.silent or wrong is Wrong.STARTING


async def test_a_manager_that_starts_does_not_deny_a_vm_by_its_404(engine: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        await router.check(Deadline.after(30))
        engine.traps.add(Wrong.STARTING, "/ovirt-engine/api")
        found = await router.find(NODE1, Deadline.after(1.0))
    assert found.records == ()
    assert "engine" in found.silent[0]


@pytest.mark.parametrize("wrong", (Wrong.RESET, Wrong.UNAVAILABLE, Wrong.HANG, Wrong.FAILED))
async def test_a_stop_that_goes_wrong_is_sent_again_once_a_look_has_shown_the_vm_alive(
    engine: StandIn, tmp_path: Path, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.routers.ovirt.course.STOP_AGAIN", 0.5)
    engine.traps.add(wrong, "POST .*/stop$", times=1)
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router, seconds=6)).observations
    assert seen.state is VmState.OFF
    posts = [index for index, each in enumerate(engine.requests) if each.endswith("/stop")]
    assert len(posts) == 2
    assert any(each.startswith("GET") for each in engine.requests[posts[0] + 1 : posts[1]])


async def test_a_manager_that_carries_a_stop_out_and_never_answers_is_looked_at_instead(
    engine: StandIn, tmp_path: Path
) -> None:
    engine.traps.add(Wrong.HANG_AFTER, "POST .*/stop$")
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, len(engine.asked("/stop"))) == (VmState.OFF, 1)


async def test_a_start_whose_answer_never_came_is_not_sent_again(engine: StandIn, tmp_path: Path) -> None:
    engine.traps.add(Wrong.HANG_AFTER, "POST .*/start$")
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await on(router, NODE3)).observations
    assert (seen.state, len(engine.asked("/start"))) == (VmState.RUNNING, 1)
    engine.traps.clear()
    engine.traps.add(Wrong.HANG, "POST .*/start$")
    engine.world.vms[NODE3].status = "down"
    async with router_to(tmp_path, settings(engine)) as router:
        with pytest.raises(HypervisorError, match="no answer"):
            await on(router, NODE3, seconds=1.5)
    assert len(engine.asked("/start")) == 2


@pytest.mark.parametrize("wrong", (Wrong.HANG, Wrong.UNAVAILABLE, Wrong.NOTHING))
async def test_a_manager_that_stays_wrong_is_no_proof_and_is_told_in_time(
    engine: StandIn, tmp_path: Path, wrong: Wrong
) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find(NODE1, Deadline.after(30))
        engine.traps.add(wrong, "POST|GET .*/vms/")
        watch, deadline = Stopwatch(), Deadline.after(1.5)
        evidence = await router.power_off(found.records[0].uuid, found, deadline, yes)
        assert watch.undisturbed < 1.45
    (seen,) = evidence.observations
    assert (seen.state, seen.proof) != (VmState.OFF, Proof.HYPERVISOR_WORD)
    assert seen.proof is Proof.NONE
    assert seen.detail


async def test_a_manager_that_restarts_in_the_middle_is_waited_for_and_logged_into_again(
    engine: StandIn, tmp_path: Path
) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find(NODE1, Deadline.after(30))
        await engine.shut()
        ending = asyncio.create_task(router.power_off(found.records[0].uuid, found, Deadline.after(30), yes))
        await asyncio.sleep(0.7)
        await engine.open()
        (seen,) = (await ending).observations
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)
    assert len(engine.asked("oauth/token")) == 2


async def test_an_answer_without_an_end_is_cut_off(engine: StandIn) -> None:
    engine.traps.add(Wrong.ENDLESS, "GET /")
    wire = Wire("engine")
    wire.believe(believed("engine", engine.certificates.ca))
    try:
        with pytest.raises(ManagerError, match="more than 1000000 bytes"):
            await wire.send(Request("GET", engine.url, most_bytes=1_000_000), 10)
    finally:
        await wire.close()


async def test_trouble_is_told_once_and_its_end_too(
    engine: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fencebus_host.routers.ovirt.router.LOOK_AGAIN", 0.05)
    monkeypatch.setattr("fencebus_host.routers.ovirt.router.LOOK_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    async with router_to(tmp_path, settings(engine)) as router:
        engine.traps.add(Wrong.UNAVAILABLE)
        running = asyncio.create_task(router.run())
        assert "not available" in str(await until(lambda: router.trouble))
        await asyncio.sleep(0.2)
        engine.traps.clear()
        await until(lambda: not router.trouble)
        running.cancel()
        await asyncio.wait([running])
    told = [record.message for record in caplog.records if "manager engine" in record.message]
    assert len([line for line in told if "not available" in line]) == 1
    assert "manager engine answers again" in told
