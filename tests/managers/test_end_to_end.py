"""From the C client through our daemon to a manager and back: what a guest is told when a manager does badly."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.managers.faults import Wrong
from tests.managers.fencing import until
from tests.managers.front import DENIED, FAILURE, OFF, SUCCESS, Front, running
from tests.managers.site import NODE1, NODE2, NODE3, PASSWORD
from tests.managers.stand_in import StandIn

UP = ("wait_for_launch", "up")


async def test_every_action_of_the_c_client_works_through_a_manager(either: StandIn, tmp_path: Path) -> None:
    vms = either.world.vms
    async with running(Front(tmp_path, [either], backend="rhevm")) as daemon:
        assert (await daemon.ask("monitor")).status == SUCCESS
        assert (await daemon.ask("status", "node1")).status == SUCCESS
        assert (await daemon.ask("status", NODE3)).status == OFF
        listed = await daemon.ask("list")
        assert [line.split()[:2] for line in listed.out.splitlines()] == [
            ["node1", NODE1],
            ["node2", NODE2],
            ["node3", NODE3],
        ]
        assert (await daemon.ask("off", "node1")).status == SUCCESS
        assert vms[NODE1].status == "down"
        assert (await daemon.ask("on", "node1")).status == SUCCESS
        assert vms[NODE1].status in UP
        assert (await daemon.ask("reboot", NODE2)).status == SUCCESS
        assert vms[NODE2].status in UP
        assert vms[NODE2].started > either.world.clock() - 60
        assert (await daemon.ask("off", "nobody")).status == FAILURE
        assert "unknown-vm" in daemon.verdict()
        assert PASSWORD not in daemon.log


async def test_our_client_gets_the_same_answers(engine: StandIn, tmp_path: Path) -> None:
    async with running(Front(tmp_path, [engine])) as daemon:
        assert (await daemon.ask("off", "node1", make="ours")).status == SUCCESS
        assert (await daemon.ask("status", "node1", make="ours")).status == OFF


async def test_the_managers_refusal_reaches_the_guest_as_permission_denied(either: StandIn, tmp_path: Path) -> None:
    either.world.accounts["admin@internal"].permits = frozenset()
    async with running(Front(tmp_path, [either])) as daemon:
        for action, target in (("off", "node1"), ("reboot", "node2"), ("on", "node3")):
            told = await daemon.ask(action, target)
            assert (told.status, told.out) == (DENIED, "Permission denied\n")
            assert "reason=denied" in daemon.verdict()
            assert "not authorized" in daemon.verdict()


async def test_a_request_is_known_to_the_manager_by_its_id(engine: StandIn, tmp_path: Path) -> None:
    async with running(Front(tmp_path, [engine])) as daemon:
        await daemon.ask("off", "node1")
        (stop,) = [said for asked, said in zip(engine.requests, engine.headers, strict=True) if asked.endswith("/stop")]
        assert f"request={stop['correlation-id']} " in daemon.verdict()


async def test_a_manager_that_restarts_in_the_middle_of_a_fence_is_waited_for(engine: StandIn, tmp_path: Path) -> None:
    engine.traps.add(Wrong.UNAVAILABLE, "/vms/")
    async with running(Front(tmp_path, [engine], timeout=25.0)) as daemon:
        asking = asyncio.create_task(daemon.ask("off", NODE1))
        await until(lambda: engine.asked("/vms/"))
        await engine.shut()
        await asyncio.sleep(0.5)
        engine.traps.clear()
        await engine.open()
        assert (await asking).status == SUCCESS
    assert engine.world.vms[NODE1].status == "down"


async def test_a_manager_that_hangs_after_accepting_is_looked_at(engine: StandIn, tmp_path: Path) -> None:
    engine.traps.add(Wrong.HANG_AFTER, "/stop$")
    async with running(Front(tmp_path, [engine], timeout=8.0)) as daemon:
        assert (await daemon.ask("off", NODE1)).status == SUCCESS
    assert len(engine.asked("/stop")) == 1


async def test_a_manager_that_hangs_does_nothing_or_has_lost_the_host_is_a_failure_that_says_so_in_time(
    engine: StandIn, tmp_path: Path
) -> None:
    async with running(Front(tmp_path, [engine], timeout=1.8)) as daemon:
        engine.traps.add(Wrong.HANG, "/vms/")
        assert (await daemon.ask("off", NODE1)).status == FAILURE
        assert "no answer" in daemon.verdict()
        engine.traps.clear()

        engine.world.vms[NODE1].deaf = True
        assert (await daemon.ask("reboot", "node1")).status == FAILURE
        assert "reason=not-proven" in daemon.verdict()
        assert "last reported node1 up" in daemon.verdict()

        engine.world.lose("host-1")
        for action in ("reboot", "status", "on"):
            assert (await daemon.ask(action, "node1")).status == FAILURE
        assert (await daemon.ask("off", "node1")).status == FAILURE
        assert "host h1 (non_responsive), which is not proven fenced" in daemon.verdict()
    assert engine.world.vms[NODE1].status == "unknown"


async def test_a_monitor_is_red_where_the_manager_does_not_know_us(engine: StandIn, tmp_path: Path) -> None:
    engine.world.accounts["admin@internal"].password = "another"
    async with running(Front(tmp_path, [engine])) as daemon:
        assert (await daemon.ask("monitor")).status == FAILURE
        assert (await daemon.ask("off", "node1")).status == FAILURE
        assert "does not accept the account" in daemon.verdict()
    assert len(engine.asked("oauth/token")) == 1


async def test_two_managers_share_the_vms_and_one_that_is_gone_does_not_hold_up_the_other(
    engine: StandIn, old_engine: StandIn, tmp_path: Path
) -> None:
    del engine.world.vms[NODE1]
    del old_engine.world.vms[NODE2]
    async with running(Front(tmp_path, [engine, old_engine], timeout=5.0)) as daemon:
        assert (await daemon.ask("off", NODE1)).status == SUCCESS
        assert (await daemon.ask("off", NODE2)).status == SUCCESS
        await old_engine.shut()
        engine.world.vms[NODE2].status = "up"
        assert (await daemon.ask("off", NODE2)).status == SUCCESS
        assert (await daemon.ask("off", NODE1)).status == FAILURE
        assert "no connection" in daemon.verdict()
