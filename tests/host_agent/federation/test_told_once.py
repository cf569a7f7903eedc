"""A host tells the others what is new of its VMs, once: each word costs every host a message and a commit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fencebus_agent.hypervisor import DomainEvent
from fencebus_host.effects import Effects, VmChanged
from fencebus_schemas.model import Action, Uuid, VmState
from fencebus_schemas.peer import Change
from tests.host_agent.federated_site import Disk, described, site, until, vm
from tests.host_agent.federation.courses import A, Table, incarnation
from tests.host_agent.federation.words import ME, MINE, VM


def test_what_all_were_told_of_a_vm_is_told_to_nobody_again_until_it_is_different() -> None:
    table = Table()
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    table.do(table.machine.vm_read(VM, record, table.now))
    assert table.machine.vm_read(VM, record, table.now) == []
    table.do(table.machine.vm_read(VM, replace(record, state=VmState.PAUSED), table.now))
    table.do(table.machine.vm_read(VM, replace(record, state=VmState.PAUSED, life="another"), table.now))
    assert [each.record.state for each in table.sent(Change)] == [record.state, VmState.PAUSED, VmState.PAUSED]


def test_what_another_machine_of_this_name_told_is_told_anew() -> None:
    table = Table()
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=incarnation(A))
    table.ownership._catalogue.replace(ME, record.incarnation, 7, [record])
    table.do(table.machine.vm_read(VM, record, table.now))
    assert [each.record.incarnation for each in table.sent(Change)] == [MINE]


async def test_of_a_kill_the_others_hear_one_change_and_never_that_what_dies_is_running() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        asked, owner = hosts["a"], hosts["b"]
        owner.announce()  # with a token that is younger than the VM, whose life is so surely older than any request
        await quiet(asked.disk)
        asked.disk.records.clear()
        owner.hypervisor.faults(vm(2)).exit_takes = 0.1
        fence = asyncio.create_task(asked.ask(Action.OFF, vm(2)))
        await until(lambda: bool(owner.router._driving._acting))
        owner.hypervisor._tell(DomainEvent(vm(2), "shutdown"))
        assert (await fence).outcome.ok
        await until(lambda: VmState.OFF in told(asked.disk))
        assert await owner.state(2) is VmState.OFF
        await quiet(asked.disk)
        assert told(asked.disk) == [VmState.OFF]
        assert not owner.router._driving._acting


@pytest.mark.parametrize(("kind", "news"), (("shutdown", 0), ("resumed", 1)))
async def test_of_what_is_heard_during_a_kill_only_its_own_echo_is_no_news(
    kind: str, news: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        owner, changed = hosts["b"], list[Uuid]()
        machine = owner.router._machine
        really = machine.changed

        def note(which: Uuid, now: float) -> Effects:
            changed.append(which)
            return really(which, now)

        monkeypatch.setattr(machine, "changed", note)
        owner.announce()
        owner.hypervisor.faults(vm(2)).exit_takes = 0.1
        fence = asyncio.create_task(hosts["a"].ask(Action.OFF, vm(2)))
        await until(lambda: bool(owner.router._driving._acting))
        owner.hypervisor._tell(DomainEvent(vm(2), kind))
        assert len(changed) == news
        assert (await fence).outcome.ok
        await until(lambda: not owner.router._driving._acting)
        assert bool(changed) == bool(news)


async def quiet(disk: Disk) -> None:
    """Nothing is heard any more of what the hosts have told each other so far."""
    heard = -1
    while heard != len(disk.records):
        heard = len(disk.records)
        await asyncio.sleep(0.1)


def told(disk: Disk) -> list[VmState]:
    """What was heard of the VM that is fenced."""
    return [each.record.state for each in disk.records if isinstance(each, VmChanged) and each.record.uuid == vm(2)]
