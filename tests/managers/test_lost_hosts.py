"""A VM whose host the manager has lost: unknown is never off; what proves it, and what is never done."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.config.backends import HostFencing
from fencebus_host.routers.ovirt import hostless
from fencebus_schemas.model import Proof, VmState
from tests.managers.fencing import off
from tests.managers.site import NODE1, NODE2, PLAIN_USER, router_to, settings
from tests.managers.stand_in import StandIn


async def test_without_host_fencing_the_host_is_named_as_what_is_missing(either: StandIn, tmp_path: Path) -> None:
    either.world.lose("host-1")
    async with router_to(tmp_path, settings(either)) as router:
        (seen,) = (await off(router, seconds=1.2)).observations
    assert (seen.state, seen.proof) == (VmState.UNKNOWN, Proof.NONE)
    assert "last on host h1 (non_responsive), which is not proven fenced" in seen.detail
    assert either.asked("POST /ovirt-engine/api") == []


async def test_an_account_that_sees_no_hosts_waits_all_the_same(engine: StandIn, tmp_path: Path) -> None:
    engine.world.lose("host-1")
    engine.world.later(0.6, lambda: _declare_down(engine))
    async with router_to(tmp_path, settings(engine, user=PLAIN_USER)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)


def _declare_down(engine: StandIn) -> None:
    engine.world.vms[NODE1].status = "down"


async def test_when_the_manager_has_fenced_the_host_its_word_counts_and_the_vm_ran_before(
    engine: StandIn, tmp_path: Path
) -> None:
    engine.world.lose("host-1")
    engine.world.later(0.4, lambda: _declare_down(engine))
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, seen.was) == (VmState.OFF, VmState.RUNNING)
    assert seen.ended is not None


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostless, "ASK_AGAIN", 0.1)
    monkeypatch.setattr(hostless, "SETTLED", 0.5)
    monkeypatch.setattr(hostless, "RESTART_AGAIN", 0.2)


@pytest.mark.usefixtures("_hasty")
async def test_a_host_that_has_been_without_power_for_a_while_runs_nothing(either: StandIn, tmp_path: Path) -> None:
    either.world.lose("host-1")
    either.world.hosts["host-1"].power = "off"
    async with router_to(tmp_path, settings(either, host_fencing=HostFencing.STATUS)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.HOST_FENCED)
    assert "says off" in seen.detail
    assert either.asked("/stop") == []


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("power", ("on", "unknown"))
async def test_a_host_with_power_proves_nothing(engine: StandIn, tmp_path: Path, power: str) -> None:
    engine.world.lose("host-1")
    engine.world.hosts["host-1"].power = power
    async with router_to(tmp_path, settings(engine, host_fencing=HostFencing.STATUS)) as router:
        (seen,) = (await off(router, seconds=2.0)).observations
    assert seen.proof is Proof.NONE
    assert f"its power management says {power}" in seen.detail


@pytest.mark.usefixtures("_hasty")
async def test_a_power_management_that_fails_proves_nothing(engine: StandIn, tmp_path: Path) -> None:
    engine.world.lose("host-1")
    engine.world.hosts["host-1"].has_power_management = False
    async with router_to(tmp_path, settings(engine, host_fencing=HostFencing.STATUS)) as router:
        (seen,) = (await off(router, seconds=1.5)).observations
    assert seen.proof is Proof.NONE
    assert "Power Management is disabled" in seen.detail


@pytest.mark.usefixtures("_hasty")
async def test_a_vm_that_turns_up_elsewhere_while_its_old_host_is_off_lives_and_is_stopped_there(
    engine: StandIn, tmp_path: Path
) -> None:
    engine.world.lose("host-1")
    engine.world.hosts["host-1"].power = "off"
    vm = engine.world.vms[NODE1]

    def arrived() -> None:
        vm.status, vm.host = "up", "host-2"

    engine.world.later(0.3, arrived)
    async with router_to(tmp_path, settings(engine, host_fencing=HostFencing.STATUS)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)
    assert len(engine.asked("/stop")) == 1


@pytest.mark.usefixtures("_hasty")
async def test_a_restart_of_the_host_is_asked_for_once_where_it_was_configured(engine: StandIn, tmp_path: Path) -> None:
    engine.world.lose("host-1")
    async with router_to(tmp_path, settings(engine, host_fencing=HostFencing.RESTART)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)
    assert len(engine.asked("/hosts/host-1/fence")) == 1
    assert engine.world.hosts["host-2"].status == "up"
    assert engine.world.vms[NODE2].status == "up"


@pytest.mark.usefixtures("_hasty")
async def test_a_restart_that_has_to_wait_for_the_quiet_time_is_tried_again(engine: StandIn, tmp_path: Path) -> None:
    engine.world.lose("host-1")
    engine.world.hosts["host-1"].quiet_until = engine.world.clock() + 0.8
    async with router_to(tmp_path, settings(engine, host_fencing=HostFencing.RESTART)) as router:
        (seen,) = (await off(router)).observations
    assert seen.state is VmState.OFF
    assert len(engine.asked("/hosts/host-1/fence")) >= 2


@pytest.mark.parametrize("fencing", tuple(HostFencing))
async def test_a_vm_that_is_not_lost_never_costs_a_host(engine: StandIn, tmp_path: Path, fencing: HostFencing) -> None:
    async with router_to(tmp_path, settings(engine, host_fencing=fencing)) as router:
        await off(router)
    assert engine.asked("/hosts/") == []
