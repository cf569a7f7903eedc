"""A fence that enters at one host and kills on another: services, routers and a bus, as in daemons."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fencebus_host.config.model import Group
from fencebus_host.config.problems import Where
from fencebus_host.federation.tokens import REISSUE
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.routers.federated import FederatedRouter
from fencebus_schemas.deadline import boottime
from fencebus_schemas.model import Action, Reason, VmState
from tests.host_agent.federated_site import described, site, until, vm
from tests.host_agent.proofs.questions import Says

THREE = {"a": [described(1)], "b": [described(2)], "c": [described(3)]}


async def test_a_fence_enters_at_one_host_and_kills_on_another() -> None:
    async with site(THREE) as (_, hosts):
        answer = await hosts["a"].ask(Action.OFF, "vm2")
        assert (answer.outcome.ok, answer.outcome.reason) == (True, Reason.PROVEN_OFF)
        assert await hosts["b"].state(2) is VmState.OFF
        assert await hosts["a"].state(1) is VmState.RUNNING
        await until(lambda: all(_states(host.router)["vm2"] is VmState.OFF for host in hosts.values()))


def _states(router: FederatedRouter) -> dict[str, VmState]:
    return {record.name: record.state for record in router.owners()}


async def test_status_and_list_know_the_vms_of_all_hosts() -> None:
    async with site(THREE) as (_, hosts):
        assert (await hosts["a"].ask(Action.STATUS, "vm3")).outcome.reason is Reason.STATUS_ON
        listed = (await hosts["a"].ask(Action.LIST, "")).vms
        assert [record.name for record in listed] == ["vm1", "vm2", "vm3"]


async def test_a_vm_that_is_off_everywhere_is_off_once_everybody_has_denied_it_twice() -> None:
    async with site({**THREE, "c": [described(3, VmState.OFF)]}) as (_, hosts):
        answer = await hosts["a"].ask(Action.OFF, "vm3")
        assert (answer.outcome.ok, answer.outcome.reason) == (True, Reason.ALREADY_OFF)


async def test_a_reboot_starts_the_vm_where_it_was() -> None:
    async with site(THREE) as (_, hosts):
        answer = await hosts["a"].ask(Action.REBOOT, "vm2")
        assert (answer.outcome.ok, answer.outcome.reason) == (True, Reason.REBOOTED)
        assert await hosts["b"].state(2) is VmState.RUNNING


async def test_on_starts_no_second_copy_where_two_hosts_define_it() -> None:
    both = {"a": [described(1)], "b": [described(2, VmState.OFF)], "c": [described(2, VmState.OFF)]}
    async with site(both) as (_, hosts):
        answer = await hosts["a"].ask(Action.ON, "vm2")
        assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.NOT_STARTED)
        assert {await hosts[name].state(2) for name in "bc"} == {VmState.OFF}


async def test_on_starts_it_on_its_last_owner_where_two_hosts_define_it() -> None:
    both = {"a": [described(1)], "b": [described(2)], "c": [described(2, VmState.OFF)]}
    async with site(both) as (_, hosts):
        assert (await hosts["a"].ask(Action.OFF, "vm2")).outcome.ok
        answer = await hosts["a"].ask(Action.ON, "vm2")
        assert (answer.outcome.ok, answer.outcome.reason) == (True, Reason.STARTED)
        assert (await hosts["b"].state(2), await hosts["c"].state(2)) == (VmState.RUNNING, VmState.OFF)


async def test_on_fails_as_soon_as_its_host_is_proven_dead_and_says_what_to_do() -> None:
    async with site({**THREE, "c": [described(2, VmState.OFF)]}) as (_, hosts):
        hosts["a"].witnesses.append(Says(Finding(Witness.OPERATOR, Fate.OFF, "somebody has pulled its plug")))
        await hosts["b"].stop()
        began = boottime()
        outcome = (await hosts["a"].ask(Action.ON, "vm2", seconds=30.0)).outcome
        assert (outcome.ok, outcome.reason) == (False, Reason.NOT_STARTED)
        assert outcome.text == (
            "b, where it would be started, is dead (somebody has pulled its plug); c has it too: start it there by hand"
        )
        assert boottime() - began < 25.0
        assert await hosts["c"].state(2) is VmState.OFF


async def test_a_vm_that_runs_here_and_is_defined_there_is_on() -> None:
    both = {"a": [described(1)], "b": [described(2)], "c": [described(2, VmState.OFF)]}
    async with site(both) as (_, hosts):
        assert (await hosts["a"].ask(Action.STATUS, "vm2")).outcome.reason is Reason.STATUS_ON
        assert (await hosts["c"].ask(Action.ON, "vm2")).outcome.reason is Reason.ALREADY_ON
        assert await hosts["c"].state(2) is VmState.OFF


async def test_the_owner_refuses_what_its_own_groups_do_not_allow() -> None:
    groups = {"b": [Group("other", ("vm2",), ("198.51.100.1",), Where(""))]}
    async with site(THREE, groups=groups) as (_, hosts):
        answer = await hosts["a"].ask(Action.OFF, "vm2")
        assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.DENIED)
        assert await hosts["b"].state(2) is VmState.RUNNING


async def test_the_same_request_at_two_hosts_is_one_kill_and_two_successes() -> None:
    async with site(THREE) as (_, hosts):
        same = b"0123456789"
        first, second = await asyncio.gather(
            hosts["a"].ask(Action.REBOOT, "vm2", random=same), hosts["c"].ask(Action.REBOOT, "vm2", random=same)
        )
        assert first.outcome.ok
        assert second.outcome.ok
        kills = [record for record in hosts["b"].disk.records if type(record).__name__ == "Deed"]
        assert len(kills) == 2  # the kill and the start
        await asyncio.sleep(0.05)
        third = await hosts["c"].ask(Action.REBOOT, "vm2", random=same)
        assert third.outcome.ok
        assert len([record for record in hosts["b"].disk.records if type(record).__name__ == "Deed"]) == 2
        elsewhere = await hosts["b"].ask(Action.REBOOT, "vm2", random=same)
        assert (elsewhere.outcome.ok, elsewhere.outcome.reason) == (True, third.outcome.reason)
        assert await hosts["b"].state(2) is VmState.RUNNING


async def test_a_silent_owner_is_a_failure_that_names_it() -> None:
    async with site(THREE) as (broker, hosts):
        broker.part(["b"], ["a", "c"])
        answer = await hosts["a"].ask(Action.OFF, "vm2", seconds=0.7)
        assert not answer.outcome.ok
        assert "vm2 was last on b, which" in answer.outcome.text
        assert await hosts["b"].state(2) is VmState.RUNNING


async def test_a_kill_that_cannot_be_written_down_is_no_success() -> None:
    async with site(THREE) as (_, hosts):
        hosts["b"].disk.full = True
        answer = await hosts["a"].ask(Action.OFF, "vm2", seconds=1.0)
        assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.NOT_RECORDED)


async def test_split_brain_kills_both_and_needs_both() -> None:
    async with site({"a": [described(1)], "b": [described(2)], "c": [described(2)]}) as (_, hosts):
        answer = await hosts["a"].ask(Action.OFF, "vm2")
        assert answer.outcome.ok
        assert {await hosts[name].state(2) for name in "bc"} == {VmState.OFF}
        hosts["c"].hypervisor.happen(vm(2), VmState.RUNNING)
        hosts["b"].hypervisor.happen(vm(2), VmState.RUNNING)
        await asyncio.sleep(0.3)  # both are older than the next request
        hosts["c"].hypervisor.faults(vm(2)).survives_kill = True
        answer = await hosts["a"].ask(Action.OFF, "vm2", seconds=1.0)
        assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.STILL_CLAIMED)


async def test_a_vm_that_nobody_knows_is_never_off() -> None:
    async with site(THREE) as (_, hosts):
        answer = await hosts["a"].ask(Action.OFF, "vm9")
        assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.UNKNOWN_VM)


async def test_an_owner_that_was_restarted_before_it_answered_attests_its_kill(tmp_path: Path) -> None:
    async with site(THREE, folder=tmp_path) as (broker, hosts):
        await asyncio.sleep(2 * REISSUE)
        hosts["b"].announce()  # with a token that is younger than the VM, as its refusals would be lost
        await asyncio.sleep(0.2)
        broker.part(["b"], ["a", "c"], one_way=True)  # what b says is lost
        asked = asyncio.create_task(hosts["a"].ask(Action.OFF, "vm2", seconds=15.0))
        for _ in range(6000):
            await asyncio.sleep(0.005)
            if await hosts["b"].state(2) is VmState.OFF:
                break
        await asyncio.sleep(0.6)  # the record is on the disk
        await hosts["b"].stop()
        await hosts["c"].stop()  # without c nobody can say that nobody has it: only the kill proves anything
        broker.mend()
        await hosts["b"].start()
        outcome = (await asked).outcome
        assert (outcome.ok, outcome.reason) == (True, Reason.PROVEN_OFF)
        assert outcome.observations[0].incarnation.nonce == "1"


async def test_a_host_remembers_over_a_restart_what_a_silent_one_had(tmp_path: Path) -> None:
    async with site(THREE, folder=tmp_path) as (_, hosts):
        await hosts["b"].stop()
        await hosts["a"].stop()
        await hosts["a"].start()
        await until(lambda: "vm2" in _states(hosts["a"].router))
        answer = await hosts["a"].ask(Action.OFF, "vm2", seconds=0.7)
        assert (answer.outcome.ok, answer.outcome.reason) == (False, Reason.HOST_SILENT)
        assert "vm2 was last on b" in answer.outcome.text


async def test_nobody_joins_a_fence_whose_kill_may_be_older_than_the_new_request() -> None:
    """The kill is done and its verdict still waits for a slow member; the VM is started again, and fenced anew."""
    async with site(THREE) as (broker, hosts):
        broker.part(["c"], ["a"], one_way=True)
        first = asyncio.create_task(hosts["a"].ask(Action.OFF, "vm2", seconds=2.0))
        while await hosts["b"].state(2) is not VmState.OFF:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        hosts["b"].hypervisor.happen(vm(2), VmState.RUNNING)
        await asyncio.sleep(0.3)  # it is older than the next request
        assert not first.done()
        second = await hosts["a"].ask(Action.OFF, "vm2", seconds=10.0)
        await first  # it cannot tell the new life from a copy of the old one, and fails
        assert second.outcome.ok
        assert await hosts["b"].state(2) is VmState.OFF


async def test_of_several_that_wait_their_turn_each_is_answered_by_a_fence_of_its_own() -> None:
    async with site(THREE) as (_, hosts):
        hosts["b"].hypervisor.faults(vm(2)).exit_takes = 0.2
        answers = await asyncio.gather(*(hosts["a"].ask(Action.OFF, "vm2", seconds=10.0) for _ in range(4)))
        assert all(answer.outcome.ok for answer in answers), answers
        assert Reason.PROVEN_OFF in {answer.outcome.reason for answer in answers}
