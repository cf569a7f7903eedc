"""Our router in front of the stand-in, in both versions: what it asks, does, and brings back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import ActRefused, HypervisorError
from fencebus_host import asking
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Life, Proof, Reason, Uuid, VmState
from tests.managers.faults import Wrong
from tests.managers.fencing import off, on
from tests.managers.site import NODE1, NODE2, NODE3, router_to, settings
from tests.managers.stand_in import StandIn
from tests.managers.world import Vm

ANOTHER = "00000000-0000-0000-0000-0000000000aa"


# -- finding ----------


@pytest.mark.parametrize("target", (NODE1, NODE1.upper(), "node1"))
async def test_a_vm_is_found_by_its_uuid_and_by_its_name(either: StandIn, tmp_path: Path, target: str) -> None:
    async with router_to(tmp_path, settings(either)) as router:
        found = await router.find(target, Deadline.after(30))
    (record,) = found.records
    assert (record.uuid, record.name, record.state, record.host) == (NODE1, "node1", VmState.RUNNING, "host-1")
    assert (record.hypervisor, found.silent) == ("engine", ())


@pytest.mark.parametrize("target", (ANOTHER, "nobody", "node", "NODE1", "node1 "))
async def test_who_does_not_exist_is_not_found_and_nobody_was_silent(
    either: StandIn, tmp_path: Path, target: str
) -> None:
    async with router_to(tmp_path, settings(either)) as router:
        found = await router.find(target, Deadline.after(30))
    assert (found.records, found.silent, found.objection) == ((), (), None)


@pytest.mark.parametrize("target", ("node*", 'no"de', "", "a\nb", "back\\slash"))
async def test_a_name_that_a_search_would_misread_is_not_searched_for(
    engine: StandIn, tmp_path: Path, target: str
) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find(target, Deadline.after(30))
    assert found.records == ()
    assert "use the UUID" in found.silent[0]
    assert engine.requests == []


async def test_of_names_that_differ_in_case_alone_the_right_one_is_found(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms = {}
    engine.world.add(Vm(ANOTHER, "NODE1"), Vm(NODE1, "node1"), Vm(NODE2, "Node1"))
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find("node1", Deadline.after(30))
    assert [record.uuid for record in found.records] == [NODE1]


async def test_a_name_that_two_data_centres_have_brings_both_for_the_verdict_to_refuse(
    engine: StandIn, tmp_path: Path
) -> None:
    engine.world.add(Vm(ANOTHER, "node1"))
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find("node1", Deadline.after(30))
    assert {record.uuid for record in found.records} == {NODE1, ANOTHER}


async def test_more_hits_than_are_asked_for_are_too_many(engine: StandIn, tmp_path: Path) -> None:
    engine.world.add(*(Vm(f"10000000-0000-0000-0000-{n:012d}", "many") for n in range(25)))
    async with router_to(tmp_path, settings(engine)) as router:
        found = await router.find("many", Deadline.after(30))
    assert "too many VMs" in found.silent[0]


async def test_the_list_shows_every_vm_also_one_without_a_state(either: StandIn, tmp_path: Path) -> None:
    either.world.vms[NODE2].status = ""
    async with router_to(tmp_path, settings(either)) as router:
        records = await router.list(Deadline.after(30))
    assert {record.name: record.state for record in records} == {
        "node1": VmState.RUNNING,
        "node2": VmState.OFF,
        "node3": VmState.OFF,
    }


# -- off ----------


async def test_a_running_vm_is_stopped_and_its_end_is_the_managers_word(either: StandIn, tmp_path: Path) -> None:
    began = boottime()
    async with router_to(tmp_path, settings(either)) as router:
        (seen,) = (await off(router)).observations
    assert either.world.vms[NODE1].status == "down"
    assert (seen.state, seen.proof, seen.was) == (VmState.OFF, Proof.HYPERVISOR_WORD, VmState.RUNNING)
    assert (seen.host, seen.hypervisor) == ("host-1", "engine")
    assert seen.seen_at > began
    assert seen.ended is not None
    assert seen.ended.began_at is not None
    assert began - seen.ended.began_at == pytest.approx(3600, abs=3)


async def test_a_stop_is_forced_so_that_no_backup_keeps_a_vm_alive(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE1].in_backup = True
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router)).observations
    assert seen.state is VmState.OFF


async def test_a_vm_that_is_down_is_not_touched(either: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(either)) as router:
        (seen,) = (await off(router, NODE3)).observations
    assert (seen.state, seen.was, seen.ended) == (VmState.OFF, VmState.OFF, None)
    assert either.asked("/stop") == []


@pytest.mark.parametrize("status", ("powering_up", "paused", "not_responding", "migrating", "wait_for_launch"))
async def test_whatever_has_a_process_is_stopped(engine: StandIn, tmp_path: Path, status: str) -> None:
    engine.world.vms[NODE1].status = status
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, engine.world.vms[NODE1].status) == (VmState.OFF, "down")
    assert seen.was in (VmState.RUNNING, VmState.PAUSED)


async def test_a_suspended_vm_loses_its_memory_so_that_nobody_can_resume_it(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE1].status = "suspended"
    async with router_to(tmp_path, settings(engine)) as router:
        assert (await router.find(NODE1, Deadline.after(30))).records[0].state is VmState.SAVED
        (seen,) = (await off(router)).observations
    assert (seen.state, seen.was, engine.world.vms[NODE1].status) == (VmState.OFF, VmState.SAVED, "down")


@pytest.mark.parametrize("status", ("saving_state", "restoring_state"))
async def test_a_vm_that_cannot_be_stopped_now_is_stopped_as_soon_as_it_can(
    engine: StandIn, tmp_path: Path, status: str
) -> None:
    vm = engine.world.vms[NODE1]
    vm.status = status
    engine.world.later(0.3, lambda: setattr(vm, "status", "up"))
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router)).observations
    assert (seen.state, len(engine.asked("/stop"))) == (VmState.OFF, 1)


async def test_a_locked_image_is_believed_only_when_it_stays_locked(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE1].status = "image_locked"
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router)).observations
        assert (seen.state, seen.proof) == (VmState.OFF, Proof.HYPERVISOR_WORD)
        assert "image_locked" in seen.detail
        # One that is up again at the second look was alive.
        engine.world.vms[NODE2].status = "image_locked"
        engine.world.later(0.2, lambda: setattr(engine.world.vms[NODE2], "status", "up"))
        found = await router.find(NODE2, Deadline.after(30))
    assert found.records[0].state is VmState.RUNNING


async def test_a_manager_that_says_yes_and_does_nothing_is_no_proof(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE1].deaf = True
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await off(router, seconds=1.0)).observations
    assert (seen.state, seen.proof) == (VmState.RUNNING, Proof.NONE)
    assert "last reported node1 up" in seen.detail
    assert "accepted 1 request" in seen.detail


async def test_an_account_without_the_permission_is_denied_and_says_so(either: StandIn, tmp_path: Path) -> None:
    either.world.accounts["admin@internal"].permits = frozenset({"start"})
    async with router_to(tmp_path, settings(either)) as router:
        evidence = await off(router)
    assert evidence.objection is not None
    assert evidence.objection.reason is Reason.DENIED
    assert "not authorized" in evidence.objection.text
    assert either.world.vms[NODE1].status == "up"


async def test_a_permit_that_refuses_keeps_the_stop_from_being_sent(engine: StandIn, tmp_path: Path) -> None:
    def no(_life: Life | None) -> None:
        raise ActRefused(Reason.REQUESTER_GONE)

    async with router_to(tmp_path, settings(engine)) as router:
        deadline = Deadline.after(30)
        found = await router.find(NODE1, deadline)
        with pytest.raises(ActRefused):
            await router.power_off(Uuid(NODE1), found, deadline, no)
        with pytest.raises(ActRefused):
            await router.power_on(Uuid(NODE3), await router.find(NODE3, deadline), deadline, no)
    assert engine.asked("POST /ovirt-engine/api") == []


async def test_the_permit_is_told_the_age_of_the_life_by_the_managers_clock(engine: StandIn, tmp_path: Path) -> None:
    lives: list[Life | None] = []
    engine.world.vms[NODE1].started = engine.world.clock() - 100
    async with router_to(tmp_path, settings(engine)) as router:
        deadline = Deadline.after(30)
        await router.power_off(Uuid(NODE1), await router.find(NODE1, deadline), deadline, lives.append)
    (life,) = lives
    assert life is not None
    assert life.began_at is not None
    assert boottime() - life.began_at == pytest.approx(100, abs=3)


async def test_a_life_that_begins_during_the_fence_is_a_younger_one(engine: StandIn, tmp_path: Path) -> None:
    """An HA VM that the manager starts anew elsewhere: the permit is asked about that life too."""
    received = boottime()

    def permit(life: Life | None) -> None:
        if life and life.began_at and life.began_at > received:
            raise ActRefused(Reason.YOUNGER_LIFE)

    vm = engine.world.vms[NODE1]
    engine.world.lose("host-1")

    def restart() -> None:
        vm.status, vm.host, vm.started = "up", "host-2", engine.world.clock() + 1

    engine.world.later(0.3, restart)
    async with router_to(tmp_path, settings(engine)) as router:
        deadline = Deadline.after(30)
        found = await router.find(NODE1, deadline)
        with pytest.raises(ActRefused) as refused:
            await router.power_off(Uuid(NODE1), found, deadline, permit)
    assert refused.value.reason is Reason.YOUNGER_LIFE
    assert vm.status == "up"


# -- on ----------


async def test_a_vm_that_is_down_is_started_once_and_seen_running(either: StandIn, tmp_path: Path) -> None:
    began = boottime()
    async with router_to(tmp_path, settings(either)) as router:
        (seen,) = (await on(router, NODE3)).observations
    assert (seen.state, seen.was) == (VmState.RUNNING, VmState.OFF)
    assert seen.seen_at > began
    assert len(either.asked("/start")) == 1


async def test_a_vm_that_runs_is_not_started(engine: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await on(router, NODE1)).observations
    assert (seen.state, seen.was) == (VmState.RUNNING, VmState.RUNNING)
    assert engine.asked("/start") == []


async def test_a_suspended_vm_is_booted_afresh(engine: StandIn, tmp_path: Path) -> None:
    vm = engine.world.vms[NODE1]
    vm.status, old = "suspended", vm.started
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await on(router, NODE1)).observations
    assert seen.state is VmState.RUNNING
    assert vm.started > old


async def test_a_start_that_the_manager_takes_and_forgets_is_not_sent_again(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE3].deaf = True
    async with router_to(tmp_path, settings(engine)) as router:
        with pytest.raises(HypervisorError, match="last reported node3 down"):
            await on(router, NODE3, seconds=1.2)
    assert len(engine.asked("/start")) == 1


async def test_a_start_that_was_refused_for_certain_is_tried_again(engine: StandIn, tmp_path: Path) -> None:
    for host in engine.world.hosts.values():
        host.status = "maintenance"
    engine.world.later(0.2, lambda: setattr(engine.world.hosts["host-1"], "status", "up"))
    async with router_to(tmp_path, settings(engine)) as router:
        (seen,) = (await on(router, NODE3)).observations
    assert seen.state is VmState.RUNNING
    assert len(engine.asked("/start")) == 2


async def test_an_account_that_may_not_start_is_denied(engine: StandIn, tmp_path: Path) -> None:
    engine.world.accounts["admin@internal"].permits = frozenset({"stop"})
    async with router_to(tmp_path, settings(engine)) as router:
        evidence = await on(router, NODE3)
    assert evidence.objection is not None
    assert evidence.objection.reason is Reason.DENIED


# -- how it asks ----------


async def test_a_fence_with_a_warm_session_is_at_most_six_requests(either: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(either)) as router:
        for target, node in (("node1", NODE1), (NODE2, NODE2)):
            await router.check(Deadline.after(30))
            either.requests.clear()
            await off(router, target)
            assert either.world.vms[node].status == "down"
            assert len(either.requests) <= 6


async def test_every_request_of_a_fence_carries_its_id(engine: StandIn, tmp_path: Path) -> None:
    asking.REQUEST.set("0123456789abcdef" * 2)
    async with router_to(tmp_path, settings(engine)) as router:
        await off(router)
        said = {headers.get("correlation-id") for headers in engine.headers[1:]}
    assert said == {"0123456789abcdef" * 2}


async def test_the_api_of_v3_is_asked_as_it_was_asked_then(old_engine: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(old_engine)) as router:
        await off(router, "node1")
    assert "GET /ovirt-engine/api/vms;case_sensitive=true;max=20" in old_engine.requests
    assert {headers.get("prefer") for headers in old_engine.headers[1:]} == {"persistent-auth"}


# -- several managers ----------


async def test_two_managers_are_asked_at_once_and_the_one_that_has_it_acts(
    engine: StandIn, old_engine: StandIn, tmp_path: Path
) -> None:
    engine.world.vms.clear()
    both = (replace(settings(engine), name="east"), replace(settings(old_engine), name="west"))
    async with router_to(tmp_path, *both) as router:
        (seen,) = (await off(router)).observations
        assert {record.hypervisor for record in await router.list(Deadline.after(30))} == {"west"}
    assert (seen.hypervisor, seen.state) == ("west", VmState.OFF)


async def test_a_vm_that_two_managers_claim_must_end_at_both(
    engine: StandIn, old_engine: StandIn, tmp_path: Path
) -> None:
    old_engine.world.vms[NODE1].deaf = True
    both = (replace(settings(engine), name="east"), replace(settings(old_engine), name="west"))
    async with router_to(tmp_path, *both) as router:
        seen = (await off(router, seconds=1.5)).observations
    assert {each.hypervisor: each.state for each in seen} == {"east": VmState.OFF, "west": VmState.RUNNING}


async def test_what_was_refused_at_one_manager_takes_nothing_from_what_another_has_done(
    engine: StandIn, old_engine: StandIn, tmp_path: Path
) -> None:
    asked: list[Life | None] = []

    def once(life: Life | None) -> None:
        asked.append(life)
        if len(asked) > 1:
            raise ActRefused(Reason.REQUESTER_GONE)

    both = (replace(settings(engine), name="east"), replace(settings(old_engine), name="west"))
    async with router_to(tmp_path, *both) as router:
        deadline = Deadline.after(30)
        found = await router.find(NODE1, deadline)
        evidence = await router.power_off(Uuid(NODE1), found, deadline, once)
    assert sorted(each.state.value for each in evidence.observations) == ["off", "unknown"]
    assert [each.proof for each in evidence.observations].count(Proof.NONE) == 1


async def test_a_manager_that_is_out_of_reach_is_named_among_the_silent(engine: StandIn, tmp_path: Path) -> None:
    nobody = replace(settings(engine), name="west", url="https://127.0.0.1:1")
    async with router_to(tmp_path, settings(engine), nobody) as router:
        found = await router.find("node1", Deadline.after(1.0))
        assert [record.hypervisor for record in found.records] == ["engine"]
        assert found.silent[0].startswith("west: no connection")
        with pytest.raises(HypervisorError, match="west"):
            await router.check(Deadline.after(1.0))


async def test_who_has_the_target_alive_is_not_held_up_by_a_silent_one(
    engine: StandIn, old_engine: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.routers.ovirt.router.PATIENCE_WITH_A_LIFE", 0.3)
    old_engine.traps.add(Wrong.HANG)
    both = (settings(engine), replace(settings(old_engine), name="west"))
    deadline = Deadline.after(8)
    async with router_to(tmp_path, *both) as router:
        found = await router.find(NODE1, deadline)
        assert deadline.remaining() > 5
        assert found.silent == ("west: no answer so far",)
        # A VM that is off here may run there: that one is waited for.
        assert (await router.find(NODE3, Deadline.after(1.5))).silent[0].startswith("west: no answer")
