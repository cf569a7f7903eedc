"""What a driver on one host of a world may say: phase by phase, and never what is not so."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, rule

from fencebus_agent.death import Witness
from fencebus_agent.memory_host import MemoryHost, Remembered
from fencebus_agent.memory_machines import Why
from fencebus_agent.memory_migration import Migration, Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import LEFT_UNMARKED, HostId, Incarnation, Proof, Sight, Uuid, VmState
from tests.agent.memory_worlds import HOSTS, OTHER, VM, go_to
from tests.agent.test_memory_world_machine import AnythingGoes, hosts, vms

A, B, C = HOSTS
INCARNATION = Incarnation("boot", "machine", "nonce")
NOW = 100.0


def driver(world: World, host: HostId, past: Remembered | None = None) -> MemoryHost:
    return MemoryHost(world, Witness(host, INCARNATION), past)


class Two:
    """A world with a driver on two of its hosts; VM is defined and runs on A."""

    def __init__(self) -> None:
        self.world = World(HOSTS)
        self.world.define(A, VM)
        self.a, self.b = driver(self.world, A), driver(self.world, B)
        self.life = self.world.start(A, VM, 1.0)

    def migrate(self, phase: Phase, to: HostId = B, undefine: bool = True) -> Migration:
        """A migration from A that has come so far."""
        migration = self.world.migrate(Route(VM, A, to, undefine=undefine))
        go_to(migration, phase)
        return migration


@pytest.fixture
def two() -> Two:
    return Two()


def short(sight: Sight) -> tuple[str, ...]:
    """A sight in a few words."""
    words = [sight.state.value]
    words += ["in flight"] if sight.in_flight else []
    words += ["left"] if sight.left else []
    words += ["ended"] if sight.ended else []
    return tuple(words)


SIGHTS = {
    Phase.BEGUN: (("running", "in flight"), ("off",)),
    Phase.PREPARED: (("running", "in flight"), ("incoming", "in flight")),
    Phase.COPYING: (("running", "in flight"), ("incoming", "in flight")),
    Phase.SOURCE_PAUSED: (("paused", "in flight", "left"), ("incoming", "in flight")),
    Phase.TRANSFERRED: (("paused", "in flight", "left"), ("incoming", "in flight")),
    Phase.SWITCHED_OVER: (("paused", "in flight", "left"), ("running",)),
    Phase.POSTCOPY: (("paused", "in flight", "left"), ("running", "in flight")),
    Phase.CONFIRMED: (("off", "left"), ("running",)),
}


@pytest.mark.parametrize("phase", SIGHTS)
def test_what_two_hosts_see_in_each_phase(two: Two, phase: Phase) -> None:
    two.migrate(phase)
    assert (short(two.a.sight(VM)), short(two.b.sight(VM))) == SIGHTS[phase]
    marks = {sight.life.mark for sight in (two.a.sight(VM), two.b.sight(VM)) if sight.life}
    assert marks == {two.life}
    assert set(two.a.sight(VM).left) <= {two.life}


# the phase, who kills: proven, and what the two say of the life afterwards, once nothing is under way any more
KILLS = {
    (Phase.BEGUN, "a"): (False, ("off",), ("off",)),
    (Phase.COPYING, "a"): (False, ("off",), ("off",)),
    (Phase.COPYING, "b"): (False, ("running",), ("off",)),
    (Phase.SOURCE_PAUSED, "a"): (False, ("off", "left"), ("off",)),
    (Phase.SOURCE_PAUSED, "b"): (False, ("running",), ("off",)),
    (Phase.TRANSFERRED, "a"): (False, ("off", "left"), ("running",)),
    (Phase.TRANSFERRED, "b"): (False, ("running",), ("off",)),
    (Phase.SWITCHED_OVER, "a"): (False, ("off", "left"), ("running",)),
    (Phase.SWITCHED_OVER, "b"): (True, ("off", "left"), ("off", "ended")),
    (Phase.POSTCOPY, "a"): (False, ("off", "left"), ("running", "in flight")),
    (Phase.POSTCOPY, "b"): (False, ("paused", "in flight", "left"), ("off",)),
    (Phase.CONFIRMED, "b"): (True, ("off", "left"), ("off", "ended")),
}


@pytest.mark.parametrize(("phase", "who"), KILLS)
def test_a_kill_in_flight_proves_nothing_and_one_after_the_arrival_does(two: Two, phase: Phase, who: str) -> None:
    migration = two.migrate(phase)
    killer = two.a if who == "a" else two.b
    seen = killer.glance(VM)
    told = killer.strike(VM, seen, NOW)
    for _ in range(4):
        migration.step(NOW)
    proven, source, destination = KILLS[phase, who]
    assert (told.proof is Proof.PROCESS_EXIT, told.migration_in_flight) == (proven, not proven)
    assert told.state is (VmState.OFF if proven else VmState.UNKNOWN)
    assert (told.ended is not None) is proven
    assert (short(two.a.sight(VM)), short(two.b.sight(VM))) == (source, destination)


def test_a_plain_kill_is_proven_and_remembered(two: Two) -> None:
    seen = two.a.glance(VM)
    assert seen.life is not None
    assert seen.life.began_at == 1.0
    told = two.a.strike(VM, seen, NOW)
    assert (told.state, told.proof, told.was, told.ended) == (
        VmState.OFF,
        Proof.PROCESS_EXIT,
        VmState.RUNNING,
        seen.life,
    )
    assert two.a.sight(VM).ended == (two.life,)
    assert two.a.sight(VM).denies


def test_a_life_that_moved_between_the_look_and_the_kill_is_not_called_dead(two: Two) -> None:
    seen = two.a.glance(VM)
    migration = two.migrate(Phase.SWITCHED_OVER)
    assert two.a.strike(VM, seen, NOW).migration_in_flight
    assert migration.phase is Phase.CONFIRMED
    assert two.a.sight(VM).left == (two.life,)
    other = Two()
    seen = other.a.glance(VM)
    other.migrate(Phase.CONFIRMED)
    told = other.a.strike(VM, seen, NOW)
    assert (told.migration_in_flight, told.proof) == (True, Proof.NONE)


def test_a_migration_cancelled_between_the_look_and_the_kill_is_as_if_it_had_not_been(two: Two) -> None:
    seen = two.a.glance(VM)
    two.migrate(Phase.SOURCE_PAUSED).cancel()
    assert two.a.strike(VM, seen, NOW).proof is Proof.PROCESS_EXIT
    assert short(two.a.sight(VM)) == ("off", "ended")


def test_a_vm_that_was_saved_before_the_kill_reached_it_is_a_claim(two: Two) -> None:
    seen = two.a.glance(VM)
    two.world.save(A, VM)
    told = two.a.strike(VM, seen, NOW)
    assert (told.state, told.proof) == (VmState.SAVED, Proof.NONE)
    saved = two.a.glance(VM)
    told = two.a.strike(VM, saved, NOW)
    assert (told.state, told.was, told.ended) == (VmState.OFF, VmState.SAVED, saved.life)
    assert two.a.sight(VM).ended == (two.life,)


def test_an_image_that_was_used_before_it_could_be_set_aside_is_a_claim(two: Two) -> None:
    two.world.save(A, VM)
    seen = two.a.glance(VM)
    two.world.restore(A, VM, 5.0)
    told = two.a.strike(VM, seen, NOW)
    assert (told.state, told.proof) == (VmState.RUNNING, Proof.NONE)


def test_a_kill_does_not_hit_the_life_after(two: Two) -> None:
    seen = two.a.glance(VM)
    two.world.shut_down(A, VM)
    two.world.start(A, VM, 5.0)
    told = two.a.strike(VM, seen, NOW)
    assert (told.state, told.proof) == (VmState.RUNNING, Proof.NONE)
    assert two.a.sight(VM).ended == (two.life,)


def test_a_vm_that_vanishes_while_it_is_killed_is_in_flight(two: Two) -> None:
    seen = two.a.glance(VM)
    two.world.forget(A, VM)
    assert two.a.strike(VM, seen, NOW).migration_in_flight


def test_a_transient_vm_is_known_after_its_end_and_one_that_was_undefined_is_not(two: Two) -> None:
    two.world.start(B, OTHER, 1.0)
    two.b.strike(OTHER, two.b.glance(OTHER), NOW)
    assert (two.b.state(OTHER), two.b.vms(), two.b.knows(OTHER)) == (VmState.OFF, (OTHER,), True)
    assert two.b.at_rest(OTHER, two.b.glance(OTHER), NOW).was is VmState.OFF
    two.world.start(B, OTHER, 2.0)
    assert two.b.remembered.forgotten == frozenset()
    assert not two.b.knows(VM)
    assert not two.b.sight(VM).known


def test_what_left_is_unknown_to_a_host_alone_and_may_not_start_there(two: Two) -> None:
    two.migrate(Phase.CONFIRMED, undefine=False)
    assert two.a.state(VM) is VmState.UNKNOWN
    assert not two.a.may_start(VM)
    assert two.a.at_rest(VM, two.a.glance(VM), NOW).migration_in_flight
    two.world.migrate(Route(VM, B, A))
    go_to(two.world.migrations[0], Phase.CONFIRMED)
    assert (two.a.state(VM), two.a.sight(VM).left) == (VmState.RUNNING, ())
    two.world.shut_down(A, VM)
    assert two.a.state(VM) is VmState.OFF


def test_a_life_that_left_is_not_forgotten_because_another_began(two: Two) -> None:
    two.migrate(Phase.CONFIRMED, to=C, undefine=False)
    two.world.start(A, VM, 9.0)
    assert two.a.sight(VM).left == (two.life,)
    assert two.a.state(VM) is VmState.RUNNING


def test_a_restart_remembers_what_it_was_told_to_remember(two: Two) -> None:
    two.world.start(B, OTHER, 1.0)
    two.b.strike(OTHER, two.b.glance(OTHER), NOW)
    two.migrate(Phase.CONFIRMED)
    past = two.a.remembered
    two.a.close()
    again = driver(two.world, A, past)
    assert again.sight(VM) == two.a.sight(VM)
    assert again.sight(VM).left == (two.life,)
    two.b.close()
    elsewhere = driver(two.world, B, two.b.remembered)
    assert elsewhere.vms() == (VM, OTHER)
    began = elsewhere.glance(VM).life
    assert began is not None
    assert began.began_at is None  # nobody of this run saw it begin


def test_a_start_without_memory_reads_what_libvirt_still_says(two: Two) -> None:
    two.migrate(Phase.CONFIRMED, undefine=False)
    assert driver(two.world, A).sight(VM).left == (LEFT_UNMARKED,)


@pytest.mark.parametrize("phase", (Phase.SOURCE_PAUSED, Phase.TRANSFERRED, Phase.SWITCHED_OVER, Phase.POSTCOPY))
def test_a_start_in_the_midst_of_a_migration_sees_that_the_life_leaves(two: Two, phase: Phase) -> None:
    two.migrate(phase)
    young = driver(two.world, A)
    assert young.sight(VM).left == (two.life,)
    two.world.kill(A, VM)
    assert young.sight(VM).ended == ()


def test_a_guest_that_shuts_down_and_a_qemu_that_crashes_are_seen_to_end(two: Two) -> None:
    two.world.shut_down(A, VM)
    second = two.world.start(A, VM, 2.0)
    two.world.kill(A, VM, Why.CRASHED)
    assert two.a.sight(VM).ended == (two.life, second)
    for number in range(20):
        two.world.start(A, VM, number)
        two.world.shut_down(A, VM)
    assert len(two.a.sight(VM).ended) == 16


@pytest.mark.parametrize("phase", (Phase.TRANSFERRED, Phase.SWITCHED_OVER))
def test_the_end_of_a_paused_vm_says_nothing_unless_it_was_ours(two: Two, phase: Phase) -> None:
    two.world.pause(A, VM)
    seen = two.a.glance(VM)
    migration = two.migrate(phase)
    two.world.kill(A, VM)
    assert two.a.sight(VM).ended == ()
    migration.step(NOW)
    assert (two.a.sight(VM).ended, two.a.sight(VM).left) == ((), (two.life,))
    assert two.a.strike(VM, seen, NOW).migration_in_flight
    ours = Two()
    ours.world.pause(A, VM)
    assert ours.a.strike(VM, ours.a.glance(VM), NOW).proof is Proof.PROCESS_EXIT
    assert ours.a.sight(VM).ended == (ours.life,)


class DriversAreTruthful(AnythingGoes):
    """A driver on every host, restarted at times; whatever is done in the world, none says what is not so."""

    def __init__(self) -> None:
        super().__init__()
        self.drivers = {host: driver(self.world, host) for host in HOSTS}
        self.told: set[str] = set()

    @rule(host=hosts, vm=vms)
    def fence(self, host: HostId, vm: Uuid) -> None:
        if self.world.is_up(host):
            speaker = self.drivers[host]
            seen = speaker.glance(vm)
            told = speaker.at_rest(vm, seen, NOW) if seen.life is None else speaker.strike(vm, seen, NOW)
            if told.proof is not Proof.NONE:
                assert told.state is VmState.OFF
                assert not [writer for writer in self.world.writers() if (writer.host, writer.vm) == (host, vm)]
            if told.ended is not None:
                self.told.add(told.ended.mark)

    @rule(which=hosts, forgets=st.booleans())
    def restart(self, which: HostId, forgets: bool) -> None:
        if self.world.is_up(which):
            past = None if forgets else self.drivers[which].remembered
            self.drivers[which].close()
            self.drivers[which] = driver(self.world, which, past)

    @rule()
    def boot(self) -> None:
        down = [host for host in HOSTS if not self.world.is_up(host)]
        for host in down:
            self.drivers[host].close()
        super().boot()
        for host in down:
            self.drivers[host] = driver(self.world, host, self.drivers[host].remembered)

    @invariant()
    def no_life_that_was_said_to_have_ended_may_write(self) -> None:
        ended = {
            mark for speaker in self.drivers.values() for marks in speaker.remembered.ended.values() for mark in marks
        }
        assert not {writer.life for writer in self.world.writers()} & (ended | self.told)

    @invariant()
    def a_host_that_denies_has_nothing_that_may_write(self) -> None:
        for writer in self.world.writers():
            if self.world.is_up(writer.host):
                assert not self.drivers[writer.host].sight(writer.vm).denies

    @invariant()
    def a_host_that_plainly_claims_has_it_alone_unless_another_life_is_there(self) -> None:
        for writer in self.world.writers():
            if self.world.is_up(writer.host):
                sight = self.drivers[writer.host].sight(writer.vm)
                if sight.life and sight.life.mark == writer.life and not sight.in_flight:
                    assert [other.life for other in self.world.writers()].count(writer.life) == 1


TestDriversAreTruthful = DriversAreTruthful.TestCase
TestDriversAreTruthful.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
