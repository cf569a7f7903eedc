"""The router on agents written for it: faithful ones, and such that hang, lie, flood and die."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import ActRefused, HypervisorError, UnknownDomain
from fencebus_host import verdict
from fencebus_host.config.fence_agent_settings import MappedVm
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceOutcome, Life, Proof, Reason, Uuid, VmState
from tests.elapsed import Stopwatch
from tests.host_agent.evidence import request
from tests.host_agent.routers.fence_agent.agents import METADATA, WrittenAgent, free, off, until, vm_of

UUID = "6a2d1f0e-1111-2222-3333-444455556666"
NODE = MappedVm("node1", "100", UUID)


def decided(evidence: Evidence, target: str = "node1") -> FenceOutcome:
    """What the verdict makes of an off."""
    return verdict.decide_off(request(Action.OFF, target, received_at=boottime() - 60), evidence)


async def test_an_off_is_proven_by_the_agents_off_and_a_status_behind_it(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    evidence = await off(agent.router(NODE), "node1")
    (seen,) = evidence.observations
    assert (seen.vm, seen.state, seen.proof, seen.was) == (UUID, VmState.OFF, Proof.HYPERVISOR_WORD, VmState.RUNNING)
    assert decided(evidence).reason is Reason.PROVEN_OFF
    assert agent.state("100") == "off"
    assert (agent.runs("off"), agent.runs("status"), agent.runs("reboot")) == (1, 2, 0)


async def test_what_was_off_already_is_told_so(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, plugs={"100": "off"})
    assert decided(await off(agent.router(NODE), UUID)).reason is Reason.ALREADY_OFF


async def test_nothing_but_our_own_words_reaches_the_agent_and_no_argument(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    await off(agent.router(NODE, options=(("ip", "192.0.2.9"), ("password", "secret"))), "node1")
    keys = {line.split("=")[0] for line in agent.told}
    assert keys == {"action", "plug", "ip", "password", "delay", "separator", "power_timeout", "arguments"}
    assert {line for line in agent.told if line.startswith("plug")} == {"plug=100"}
    assert {line for line in agent.told if line.startswith("delay")} == {"delay=0"}
    assert {line.split()[0] for line in agent.told if line.startswith("arguments")} == {"arguments=0"}
    assert "node1" not in " ".join(agent.told)


async def test_the_agents_own_patience_is_shorter_than_ours(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    await off(agent.router(NODE), "node1", seconds=24.0)
    before = agent.told[: agent.told.index("action=off")]
    assert [line for line in before if line.startswith("power_timeout")][-1] in ("power_timeout=16", "power_timeout=17")


@pytest.mark.parametrize("target", ("100,200", "nobody", "name-100,name-200", "../plug.100", "100\nplug=200"))
async def test_a_vm_that_is_not_in_the_map_is_unknown_and_the_agent_is_not_asked(tmp_path: Path, target: str) -> None:
    agent = WrittenAgent(tmp_path)
    assert await agent.router(NODE).find(target, Deadline.after(30)) == Evidence(())
    assert agent.told == []


async def test_without_a_map_the_agents_list_is_it(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    router = agent.router()
    assert decided(await off(router, "name-100"), "name-100").ok
    assert agent.state("100") == "off"
    listed = await router.list(Deadline.after(30))
    assert sorted((vm.name, vm.state) for vm in listed) == [("name-100", VmState.RUNNING), ("name-200", VmState.OFF)]
    assert agent.runs("list-status") == 1, "the list is kept"


async def test_a_vm_that_is_not_in_the_list_is_looked_for_in_a_newer_one(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    now = [1000.0]
    router = agent.router()

    def deadline() -> Deadline:
        return Deadline(now[0] + 5, lambda: now[0])

    assert not (await router.find("name-300", deadline())).records
    agent.set("300", "on")
    assert not (await router.find("name-300", deadline())).records, "a guest's questions do not each cost a list"
    now[0] += 6
    assert (await router.find("name-300", deadline())).records[0].name == "name-300"


async def test_a_plug_that_has_become_another_vms_is_not_ended(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, 'on_list_status() { echo "100${separator}$(cat name)${separator}ON"; }')
    (tmp_path / "name").write_text("node1")
    router, now = agent.router(), [boottime()]

    def deadline() -> Deadline:
        return Deadline(now[0] + 5, lambda: now[0])

    found = await router.find("node1", deadline())
    (tmp_path / "name").write_text("database")
    now[0] += 6
    with pytest.raises(UnknownDomain, match="node1 is no longer"):
        await router.power_off(vm_of(found), found, deadline(), free)
    assert agent.runs("off") == 0


async def test_a_uuid_that_two_plugs_of_a_list_have_is_nobody_to_be_ended(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, f'on_list_status() {{ echo "100,{UUID},ON"; echo "200,{UUID},ON"; }}')
    router, deadline = agent.router(), Deadline.after(30)
    found = await router.find(UUID, deadline)
    with pytest.raises(UnknownDomain, match="stands for 2 plugs"):
        await router.power_off(Uuid(UUID), found, deadline, free)
    assert agent.runs("off") == 0


async def test_two_vms_of_one_name_are_both_brought_for_the_verdict_to_refuse(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    found = await agent.router(NODE, MappedVm("node1", "200")).find("node1", Deadline.after(30))
    assert decided(found).reason is Reason.AMBIGUOUS_NAME


async def test_an_on_is_proven_by_a_status(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, plugs={"100": "off"})
    router, deadline = agent.router(NODE), Deadline.after(30)
    found = await router.find("node1", deadline)
    evidence = await router.power_on(vm_of(found), found, deadline, free)
    on = request(Action.ON, "node1", received_at=boottime() - 60)
    assert verdict.decide_on(on, evidence).reason is Reason.STARTED


async def test_an_on_that_does_nothing_is_a_failure_with_the_agents_words(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, "on_on() { echo 'no capacity' >&2; exit 1; }", plugs={"100": "off"})
    router, deadline = agent.router(NODE), Deadline.after(2.0)
    found = await router.find("node1", deadline)
    with pytest.raises(HypervisorError, match="no capacity"):
        await router.power_on(vm_of(found), found, deadline, free)
    assert agent.runs("on") == 1


async def test_mapped_vms_are_listed_with_their_states_from_the_agents_list_or_one_by_one(tmp_path: Path) -> None:
    both = (NODE, MappedVm("node2", "200"), MappedVm("gone", "300"))
    expected = [("node1", VmState.RUNNING), ("node2", VmState.OFF), ("gone", VmState.UNKNOWN)]
    agent = WrittenAgent(tmp_path / "a")
    assert [(vm.name, vm.state) for vm in await agent.router(*both).list(Deadline.after(30))] == expected
    assert (agent.runs("list-status"), agent.runs("status")) == (1, 0)
    plain = METADATA.replace('<action name="list-status"/>', "")
    agent = WrittenAgent(tmp_path / "b", metadata=plain)
    assert [(vm.name, vm.state) for vm in await agent.router(*both).list(Deadline.after(30))] == expected
    assert agent.runs("status") == 3


async def test_an_agent_that_tells_what_it_sends_tells_no_password_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = WrittenAgent(tmp_path, "on_status() { echo 'POST password=geheim' >&2; exit 1; }")
    with caplog.at_level(logging.DEBUG):
        evidence = await off(agent.router(NODE, options=(("password", "geheim"),)), "node1", seconds=2.0)
    assert "POST password=***" in caplog.text
    assert "geheim" not in caplog.text + evidence.observations[0].detail


async def test_metadata_that_does_not_come_keeps_nobody_beyond_his_deadline(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, "on_metadata() { exec sleep 600; }")
    router = agent.router(NODE)
    first = asyncio.create_task(router.find("node1", Deadline.after(1.5)))
    await until(lambda: agent.runs("metadata") > 0)
    watch = Stopwatch()
    assert "metadata" in (await router.find("node1", Deadline.after(0.3))).silent[0]
    assert watch.undisturbed < 1.0
    assert "metadata" in (await first).silent[0]


# -- agents that break the contract ----------


@pytest.mark.parametrize(
    "changed",
    (
        "on_off() { echo Success: Powered OFF; }",  # says so, and does nothing
        "on_off() { exec sleep 600; }",  # hangs
        "on_off() { kill -KILL $$; }",  # dies
        "on_off() { yes; }",  # floods
        "on_off() { exit 2; }",
        "on_off() { echo Status: OFF; exit 2; }",
    ),
)
async def test_an_off_that_does_not_happen_is_never_a_success(tmp_path: Path, changed: str) -> None:
    agent = WrittenAgent(tmp_path, changed)
    watch = Stopwatch()
    outcome = decided(await off(agent.router(NODE), "node1", seconds=1.8))
    assert watch.undisturbed < 2.6
    assert not outcome.ok
    assert outcome.reason is Reason.NOT_PROVEN
    assert "fence_agent: its off" in outcome.text


@pytest.mark.parametrize(
    "changed",
    (
        "on_status() { exit 2; }",  # an interpreter that cannot read its program ends so
        "on_status() { echo Status: OFF; exit 0; }",
        "on_status() { echo Status: UNKNOWN; exit 1; }",
        "on_status() { echo Status: OFF; exit 1; }",
        "on_status() { kill -KILL $$; }",
        "on_status() { exec sleep 600; }",
    ),
)
async def test_an_off_whose_status_proves_nothing_is_not_proven(tmp_path: Path, changed: str) -> None:
    agent = WrittenAgent(tmp_path, changed)
    assert decided(await off(agent.router(NODE), "node1", seconds=1.2)).reason in (Reason.NOT_PROVEN, Reason.UNKNOWN_VM)


async def test_an_agent_that_hangs_after_it_acted_is_believed_when_two_statuses_say_off(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, 'on_off() { echo off > "plug.$plug"; exec sleep 600; }')
    evidence = await off(agent.router(NODE), "node1", seconds=6.0)
    assert decided(evidence).ok
    assert agent.runs("status") == 3


async def test_a_vm_that_its_manager_starts_again_at_once_is_not_off(tmp_path: Path) -> None:
    restarts = 'on_off() { (sleep 0.05; :) ; echo on > "plug.$plug"; echo Success; }'
    agent = WrittenAgent(tmp_path, restarts)
    outcome = decided(await off(agent.router(NODE), "node1", seconds=2.0))
    assert "its off succeeded, and the status is ON" in outcome.text
    assert agent.runs("off") == 1


async def test_a_login_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    fails = 'on_off() { [ -f once ] || { touch once; echo busy >&2; exit 1; }; echo off > "plug.$plug"; }'
    agent = WrittenAgent(tmp_path, fails)
    assert decided(await off(agent.router(NODE), "node1")).ok
    assert agent.runs("off") == 2


async def test_a_status_that_cannot_be_told_is_unknown_and_never_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = WrittenAgent(tmp_path, "on_status() { echo 'Unable to connect/login' >&2; exit 1; }")
    with caplog.at_level(logging.WARNING):
        found = await agent.router(NODE).find("node1", Deadline.after(30))
    assert found.records[0].state is VmState.UNKNOWN
    assert not verdict.decide_status(request(Action.STATUS, "node1"), found).ok
    assert "Unable to connect/login" in caplog.text


async def test_a_list_that_fails_is_silence_and_not_an_unknown_vm(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, "on_list_status() { exit 1; }")
    found = await agent.router().find("name-100", Deadline.after(30))
    assert decided(found, "name-100").reason is Reason.HYPERVISOR_ERROR


# -- the permit, the slots, the check ----------


async def test_the_permit_is_asked_directly_before_the_act_and_a_refusal_ends_it(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    router, deadline = agent.router(NODE), Deadline.after(30)
    found = await router.find("node1", deadline)

    def refuse(_life: Life | None) -> None:
        raise ActRefused(Reason.REQUESTER_GONE)

    with pytest.raises(ActRefused):
        await router.power_off(vm_of(found), found, deadline, refuse)
    assert agent.runs("off") == 0


async def test_a_refusal_of_the_second_attempt_leaves_what_the_first_one_did(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, "on_off() { exit 1; }")
    router, deadline = agent.router(NODE), Deadline.after(30)
    found = await router.find("node1", deadline)
    asked: list[int] = []

    def once(_life: Life | None) -> None:
        asked.append(1)
        if len(asked) > 1:
            raise ActRefused(Reason.REQUESTER_GONE)

    evidence = await router.power_off(vm_of(found), found, deadline, once)
    assert decided(evidence).reason is Reason.NOT_PROVEN
    assert agent.runs("off") == 1


async def test_no_more_than_at_most_run_at_once_and_looks_leave_room_for_a_fence(tmp_path: Path) -> None:
    slow = """\
        on_status() { echo x >> running; sleep 0.3; sed -i 1d running; wc -l < running >> seen; echo Status: ON; }
        """
    agent = WrittenAgent(tmp_path, slow)
    router = agent.router(NODE, at_most=3)
    found = await router.find("node1", Deadline.after(30))
    looks = [asyncio.create_task(router.find("node1", Deadline.after(20))) for _ in range(6)]
    await asyncio.sleep(0.15)
    watch = Stopwatch()
    fencing = asyncio.create_task(router.power_off(Uuid(UUID), found, Deadline.after(20), free))
    await until(lambda: agent.runs("off") > 0)
    assert watch.undisturbed < 0.3, "the off did not wait for the looks"
    fencing.cancel()
    await asyncio.gather(*looks)
    await asyncio.wait([fencing])
    assert max(int(line) for line in (tmp_path / "seen").read_text().split()) <= 2


async def test_a_slot_that_does_not_come_free_is_a_failure_at_the_deadline(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path, "on_status() { exec sleep 600; }")
    router = agent.router(NODE, at_most=1)
    first = asyncio.create_task(router.find("node1", Deadline.after(1.2)))
    await until(lambda: agent.runs("status") > 0)
    found = await router.find("node1", Deadline.after(0.5))
    assert "at_most" in found.silent[0]
    await first


async def test_the_check_asks_a_real_question_too(tmp_path: Path) -> None:
    await WrittenAgent(tmp_path / "a").router(NODE).check(Deadline.after(30))
    await WrittenAgent(tmp_path / "b").router().check(Deadline.after(30))
    green = WrittenAgent(tmp_path / "c", "on_status() { exit 1; }")
    with pytest.raises(HypervisorError, match="cannot tell the status of node1"):
        await green.router(NODE).check(Deadline.after(30))
    with pytest.raises(HypervisorError, match="lists no VM"):
        await WrittenAgent(tmp_path / "d", "on_list_status() { :; }").router().check(Deadline.after(30))
    with pytest.raises(HypervisorError, match="monitor failed"):
        await WrittenAgent(tmp_path / "e", "on_monitor() { exit 1; }").router(NODE).check(Deadline.after(30))


async def test_an_agent_that_is_no_way_to_vms_fences_nobody_and_says_why(tmp_path: Path) -> None:
    fabric = WrittenAgent(tmp_path / "a", metadata=METADATA.replace('name="off"', 'name="disable"'))
    found = await fabric.router(NODE).find("node1", Deadline.after(30))
    assert "no action off" in found.silent[0]
    typo = WrittenAgent(tmp_path / "b")
    found = await typo.router(NODE, options=(("pasword", "x"),)).find("node1", Deadline.after(30))
    assert "did you mean `password`" in found.silent[0]
    assert "on_metadata" not in found.silent[0]
    silent = WrittenAgent(tmp_path / "c", "on_metadata() { echo 'usage: x'; }")
    assert "metadata" in (await silent.router(NODE).find("node1", Deadline.after(30))).silent[0]
    broken = WrittenAgent(tmp_path / "d", "on_metadata() { exit 1; }")
    assert "tells no metadata" in (await broken.router(NODE).find("node1", Deadline.after(30))).silent[0]


async def test_an_agent_that_has_gone_is_a_failure_with_its_path(tmp_path: Path) -> None:
    agent = WrittenAgent(tmp_path)
    router = agent.router(NODE)
    agent.program.unlink()
    with pytest.raises(HypervisorError, match="fence_written cannot be run"):
        await router.check(Deadline.after(30))


async def test_the_router_says_in_the_log_whether_its_agent_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder, changed, text in (("a", "", "the agent answers"), ("b", "on_monitor() { exit 1; }", "monitor failed")):
        with caplog.at_level(logging.INFO):
            task = asyncio.create_task(WrittenAgent(tmp_path / folder, changed).router(NODE).run())
            for _ in range(3000):
                if text in caplog.text:
                    break
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
        assert text in caplog.text
