"""Where Debian's fence_rhevm 4.12.1 is wrong, it and our router are shown side by side on the same stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_host import verdict
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, Reason, VmState
from tests.host_agent.evidence import request
from tests.managers.fencing import off
from tests.managers.programs import fence_rhevm
from tests.managers.site import NODE1, NODE2, router_to, settings
from tests.managers.stand_in import StandIn
from tests.managers.world import Vm

ANOTHER = "00000000-0000-0000-0000-0000000000aa"
soon = Deadline.after


async def test_unknown_reads_on_there_and_nothing_here(engine: StandIn, tmp_path: Path) -> None:
    engine.world.lose("host-1")
    assert (await fence_rhevm(engine, "status", "node1")).out == "Status: ON\n"
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find("node1", soon(30))
    outcome = verdict.decide_status(request(Action.STATUS, "node1"), found)
    assert (outcome.ok, outcome.reason) == (False, Reason.NOT_PROVEN)


async def test_a_monitor_with_a_wrong_password_is_green_there_and_fails_here(engine: StandIn, tmp_path: Path) -> None:
    engine.world.accounts["admin@internal"].password = "another"
    assert (await fence_rhevm(engine, "monitor")).status == 0
    listed = await fence_rhevm(engine, "list")
    assert (listed.status, listed.out.strip()) == (0, "")
    async with router_to(tmp_path, settings(engine)) as router:
        with pytest.raises(HypervisorError, match="does not accept the account"):
            await router.check(soon(30))


async def test_one_vm_without_a_state_empties_the_list_there_and_not_here(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE2].status = ""
    assert (await fence_rhevm(engine, "list")).out.strip() == ""
    async with router_to(tmp_path, settings(engine)) as router:
        assert len(await router.list(soon(30))) == 3


async def test_a_name_with_a_blank_and_a_uuid_are_not_understood_there_and_are_here(
    engine: StandIn, tmp_path: Path
) -> None:
    engine.world.vms[NODE1].name = "my node"
    assert (await fence_rhevm(engine, "status", "my node")).status == 1
    assert (await fence_rhevm(engine, "status", NODE1)).status == 1
    async with router_to(tmp_path, settings(engine)) as router:
        for target in ("my node", NODE1):
            assert (await router.find(target, soon(30))).records[0].state is VmState.RUNNING


async def test_another_vm_whose_name_differs_in_case_is_killed_there_and_left_alone_here(
    engine: StandIn, tmp_path: Path
) -> None:
    """The engine's search does not tell case apart unless it is told to."""
    engine.world.vms = {}
    engine.world.add(Vm(ANOTHER, "NODE1"), Vm(NODE1, "node1"))
    async with router_to(tmp_path, settings(engine)) as router:
        await off(router, "node1")
    assert (engine.world.vms[ANOTHER].status, engine.world.vms[NODE1].status) == ("up", "down")
    engine.world.vms[NODE1].status = "up"
    assert (await fence_rhevm(engine, "off", "node1")).status == 0
    assert (engine.world.vms[ANOTHER].status, engine.world.vms[NODE1].status) == ("down", "up")


async def test_a_pattern_for_a_name_kills_some_vm_there_and_none_here(engine: StandIn, tmp_path: Path) -> None:
    assert (await fence_rhevm(engine, "off", "node*")).status == 0
    assert engine.world.vms[NODE1].status == "down"
    async with router_to(tmp_path, settings(engine)) as router:
        assert (await router.find("node*", soon(30))).records == ()


async def test_a_refusal_reads_as_a_timeout_there_and_as_a_denial_here(engine: StandIn, tmp_path: Path) -> None:
    engine.world.accounts["admin@internal"].permits = frozenset()
    refused = await fence_rhevm(engine, "off", "node1", power_timeout="1")
    assert refused.status == 1
    assert "Timed out waiting to power OFF" in refused.err
    async with router_to(tmp_path, settings(engine)) as router:
        evidence = await off(router)
    outcome = verdict.decide_off(request(), evidence)
    assert outcome.reason is Reason.DENIED
    assert "not authorized" in outcome.text


async def test_a_lost_host_reads_as_a_timeout_there_and_is_named_here(engine: StandIn, tmp_path: Path) -> None:
    engine.world.lose("host-1")
    lost = await fence_rhevm(engine, "off", "node1", power_timeout="1")
    assert "h1" not in lost.err
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router, seconds=1.2)).observations
    assert "host h1 (non_responsive)" in seen.detail
