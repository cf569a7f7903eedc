"""Several hypervisors in memory over one world: migrations, saves and crashes as the port shows them."""

from __future__ import annotations

import asyncio

import pytest

from fencebus_agent.hypervisor import DomainEvent, HypervisorError, Presence, SightedHypervisor, UnknownDomain
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_agent.memory_migration import Migration, Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Incarnation, Life, Proof, Uuid, VmRecord, VmState
from tests.agent.memory_worlds import go_to
from tests.hypervisors import allow, soon

VM = Uuid("00000000-0000-0000-0000-000000000001")
A, B = HostId("a"), HostId("b")


class TwoHosts:
    """VM is defined and runs on A."""

    def __init__(self) -> None:
        self.world = World()
        self.a = self.hypervisor(A, MemoryVm(VM, "vm1", macs=("52:54:00:00:00:0A",), cluster="alpha", cid=7))
        self.b = self.hypervisor(B)

    def hypervisor(self, host: HostId, *vms: MemoryVm) -> MemoryHypervisor:
        return MemoryHypervisor(host, Incarnation("boot", host, "nonce"), vms, world=self.world)

    def migrate(self, phase: Phase, undefine: bool = True) -> Migration:
        migration = self.world.migrate(Route(VM, A, B, undefine=undefine))
        go_to(migration, phase)
        return migration


@pytest.fixture
def two() -> TwoHosts:
    return TwoHosts()


async def state(hypervisor: MemoryHypervisor, target: str = "vm1") -> VmState | None:
    record = await hypervisor.find(target, soon())
    return record.state if record else None


async def test_a_vm_is_found_where_it_is_with_all_that_belongs_to_it(two: TwoHosts) -> None:
    assert (await state(two.a), await state(two.b)) == (VmState.RUNNING, None)
    two.migrate(Phase.CONFIRMED)
    assert (await state(two.a), await state(two.b)) == (None, VmState.RUNNING)
    record = await two.b.find(VM, soon())
    assert record is not None
    assert (record.name, record.host, record.cluster) == ("vm1", B, "alpha")
    assert two.b.neighbours() == [("52:54:00:00:00:0a", VM)]
    assert two.b.cluster_of(VM) == "alpha"
    assert [(devices.vm, devices.cid, devices.running) for devices in await two.b.devices(soon())] == [(VM, 7, True)]
    assert (two.a.presence("vm1"), two.b.presence("vm1")) == (Presence.ABSENT, Presence.ALIVE)
    assert two.a.neighbours() == []


@pytest.mark.parametrize(
    ("phase", "source", "destination"),
    (
        (Phase.BEGUN, VmState.RUNNING, None),
        (Phase.COPYING, VmState.RUNNING, VmState.INCOMING),
        (Phase.SOURCE_PAUSED, VmState.PAUSED, VmState.INCOMING),
        (Phase.TRANSFERRED, VmState.PAUSED, VmState.INCOMING),
        (Phase.SWITCHED_OVER, VmState.PAUSED, VmState.RUNNING),
        (Phase.POSTCOPY, VmState.PAUSED, VmState.RUNNING),
        (Phase.CONFIRMED, VmState.UNKNOWN, VmState.RUNNING),
    ),
)
async def test_both_hosts_say_what_they_have_of_it(
    two: TwoHosts, phase: Phase, source: VmState, destination: VmState | None
) -> None:
    two.migrate(phase, undefine=False)
    assert (await state(two.a), await state(two.b)) == (source, destination)
    listed: list[VmRecord] = [*await two.a.list(soon()), *await two.b.list(soon())]
    assert [record.state for record in listed] == [state for state in (source, destination) if state]


@pytest.mark.parametrize(
    "phase", (Phase.BEGUN, Phase.COPYING, Phase.SOURCE_PAUSED, Phase.SWITCHED_OVER, Phase.POSTCOPY)
)
async def test_an_off_at_the_source_of_a_migration_proves_nothing(two: TwoHosts, phase: Phase) -> None:
    two.migrate(phase)
    seen = await two.a.power_off(VM, soon(), allow)
    assert (seen.state, seen.proof, seen.migration_in_flight, seen.ended) == (VmState.UNKNOWN, Proof.NONE, True, None)
    assert await state(two.a) is VmState.UNKNOWN
    again = await two.a.power_off(VM, soon(), allow)
    assert (again.state, again.migration_in_flight) == (VmState.UNKNOWN, True)


async def test_a_migration_that_goes_on_while_the_process_is_dying_spoils_the_proof(two: TwoHosts) -> None:
    two.a.faults(VM).exit_takes = 0.05
    fence = asyncio.create_task(two.a.power_off(VM, soon(), allow))
    await asyncio.sleep(0.01)
    two.migrate(Phase.SWITCHED_OVER)
    seen = await fence
    assert (seen.was, seen.proof, seen.migration_in_flight) == (VmState.RUNNING, Proof.NONE, True)
    assert await state(two.b) is VmState.RUNNING


async def test_the_death_of_an_incoming_process_says_nothing_and_the_source_goes_on(two: TwoHosts) -> None:
    two.migrate(Phase.COPYING)
    seen = await two.b.power_off(VM, soon(), allow)
    assert (seen.was, seen.proof, seen.migration_in_flight) == (VmState.INCOMING, Proof.NONE, True)
    assert (await state(two.a), await state(two.b)) == (VmState.RUNNING, None)


async def test_after_the_arrival_an_off_there_is_proven_and_ends_the_same_life(two: TwoHosts) -> None:
    lives: list[Life | None] = []
    before = await two.a.look(VM, soon())
    two.migrate(Phase.CONFIRMED)
    seen = await two.b.power_off(VM, soon(), lives.append)
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)
    assert seen.ended is not None
    assert before.life is not None
    assert seen.ended.mark == before.life.mark
    assert lives == [seen.ended]
    assert (await two.a.look(VM, soon())).left == (before.life.mark,)
    assert (await two.b.look(VM, soon())).ended == (before.life.mark,)


async def test_a_vm_that_left_is_not_started_here(two: TwoHosts) -> None:
    two.migrate(Phase.CONFIRMED, undefine=False)
    with pytest.raises(HypervisorError, match="nobody saw it end"):
        await two.a.power_on(VM, soon(), allow)
    assert await state(two.a) is VmState.UNKNOWN


async def test_on_of_a_vm_that_arrives_does_nothing(two: TwoHosts) -> None:
    two.migrate(Phase.COPYING)
    seen = await two.b.power_on(VM, soon(), allow)
    assert (seen.state, seen.migration_in_flight) == (VmState.INCOMING, True)


async def test_migrations_are_told_with_the_word_that_names_them(two: TwoHosts) -> None:
    at_a: list[DomainEvent] = []
    at_b: list[DomainEvent] = []
    two.a.subscribe(at_a.append)
    two.b.subscribe(at_b.append)
    two.migrate(Phase.CONFIRMED)
    assert [(event.kind, event.detail) for event in at_a] == [
        ("suspended", "migration"),
        ("stopped", "migration"),
        ("job-completed", "migration"),
    ]
    assert [(event.kind, event.detail) for event in at_b] == [
        ("started", "migration"),
        ("defined", ""),
        ("resumed", ""),
    ]


async def test_a_restarted_hypervisor_keeps_what_it_remembered(two: TwoHosts) -> None:
    two.migrate(Phase.SWITCHED_OVER)
    await two.a.power_off(VM, soon(), allow)
    past = two.a.remembered
    await two.a.close()
    await two.a.close()
    again = MemoryHypervisor(A, Incarnation("boot", A, "second"), world=two.world, past=past)
    assert await state(again, VM) is VmState.UNKNOWN
    forgetful = two.hypervisor(A)
    assert await state(forgetful, VM) is VmState.OFF  # the trap of facts libvirt 2.2: libvirt says "destroyed"


async def test_a_saved_vm_is_saved_and_a_host_that_boots_brings_its_life_back(two: TwoHosts) -> None:
    before = (await two.a.look(VM, soon())).life
    two.world.save(A, VM)
    assert await state(two.a) is VmState.SAVED
    assert not (await two.a.look(VM, soon())).denies
    two.world.crash(A)
    for answer in (two.a.list(soon()), two.a.find("vm1", soon()), two.a.power_off(VM, soon(), allow)):
        with pytest.raises(HypervisorError, match="down"):
            await answer
    assert (two.a.presence("vm1"), two.a.neighbours(), two.a.cluster_of(VM)) == (Presence.ABSENT, [], None)
    two.world.boot(A, (VM,), 50.0)
    after = (await two.a.look(VM, soon())).life
    assert before is not None
    assert after is not None
    assert after.mark == before.mark


async def test_the_same_vm_on_two_hosts_has_two_lives(two: TwoHosts) -> None:
    two.world.clone(B, VM, 5.0)
    a, b = await two.a.look(VM, soon()), await two.b.look(VM, soon())
    assert a.life is not None
    assert b.life is not None
    assert a.life.mark != b.life.mark
    assert (await two.a.power_off(VM, soon(), allow)).proof is Proof.PROCESS_EXIT
    assert await state(two.b) is VmState.RUNNING


async def test_hypervisors_with_worlds_of_their_own_never_give_the_same_mark() -> None:
    lives = []
    for host in (A, B):
        alone: SightedHypervisor = MemoryHypervisor(host, Incarnation("boot", host, "nonce"), [MemoryVm(VM, "vm1")])
        lives.append((await alone.look(VM, soon())).life)
    assert lives[0] != lives[1]


async def test_a_vm_that_was_never_here_is_unknown(two: TwoHosts) -> None:
    with pytest.raises(UnknownDomain):
        await two.b.power_off(VM, soon(), allow)
    sight = await two.b.look(VM, soon())
    assert (sight.known, sight.denies) == (False, True)


async def test_every_state_leads_to_every_other_and_back() -> None:
    states = [VmState.RUNNING, VmState.PAUSED, VmState.SAVED, VmState.INCOMING, VmState.OFF, VmState.UNKNOWN]
    for before in states:
        for after in states:
            hypervisor = MemoryHypervisor(A, Incarnation("boot", A, "nonce"), [MemoryVm(VM, "vm1", before)])
            assert await state(hypervisor) is before
            for _ in range(2):
                hypervisor.happen(VM, after)
                assert await state(hypervisor) is after
            hypervisor.happen(VM, before)
            assert await state(hypervisor) is before
