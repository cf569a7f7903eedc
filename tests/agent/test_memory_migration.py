"""A live migration in memory: every phase, and what becomes of each side when something ends in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import Hold, Why, WorldRefusal
from fencebus_agent.memory_migration import Migration, Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Uuid

VM = Uuid("00000000-0000-0000-0000-000000000001")
A, B, C = HostId("a"), HostId("b"), HostId("c")

POSTCOPY_AT = Phase.COPYING


def begun(route: Route | None = None) -> tuple[World, Migration]:
    """A VM that is defined and runs on A, and a migration to B that has just begun."""
    world = World((A, B, C))
    world.define(A, VM)
    world.start(A, VM, 1.0)
    world.pop_events()
    return world, world.migrate(route or Route(VM, A, B))


def go_to(migration: Migration, phase: Phase) -> None:
    """Step until it is there; through post-copy where that is the way."""
    while migration.phase is not phase:
        if phase is Phase.POSTCOPY and migration.phase is POSTCOPY_AT:
            migration.start_postcopy()
        else:
            migration.step(2.0)


def at_phase(phase: Phase, route: Route | None = None) -> tuple[World, Migration]:
    """A migration in that phase."""
    world, migration = begun(route)
    go_to(migration, phase)
    return world, migration


def finish(migration: Migration) -> Phase:
    """Step until nothing is under way."""
    while not migration.phase.over:
        migration.step(9.0)
    return migration.phase


def holds(world: World) -> dict[HostId, Hold]:
    """Where the VM may still write."""
    return {writer.host: writer.hold for writer in world.writers()}


R, P, ARRIVES = Hold.RUNS, Hold.STANDS, Hold.ARRIVES

# phase: what libvirt of the source says, of the destination, and the truth
WORDS: dict[Phase, tuple[tuple[Power, Why, Job], tuple[Power, Why | None, Job], dict[HostId, Hold]]] = {
    Phase.BEGUN: (
        (Power.RUNNING, Why.BOOTED, Job.MIGRATION),
        (Power.GONE, None, Job.NONE),
        {A: R},
    ),
    Phase.PREPARED: (
        (Power.RUNNING, Why.BOOTED, Job.MIGRATION),
        (Power.INCOMING, Why.STARTING_UP, Job.UNSEEN),
        {A: R},
    ),
    Phase.COPYING: (
        (Power.RUNNING, Why.BOOTED, Job.MIGRATION),
        (Power.INCOMING, Why.MIGRATION, Job.UNSEEN),
        {A: R},
    ),
    Phase.SOURCE_PAUSED: (
        (Power.OUTGOING, Why.MIGRATION, Job.MIGRATION),
        (Power.INCOMING, Why.MIGRATION, Job.UNSEEN),
        {A: P},
    ),
    Phase.TRANSFERRED: (
        (Power.OUTGOING, Why.MIGRATION, Job.MIGRATION),
        (Power.INCOMING, Why.MIGRATION, Job.UNSEEN),
        {A: P, B: ARRIVES},
    ),
    Phase.SWITCHED_OVER: (
        (Power.OUTGOING, Why.MIGRATION, Job.NONE),
        (Power.RUNNING, Why.MIGRATED, Job.NONE),
        {B: R},
    ),
    Phase.POSTCOPY: (
        (Power.OUTGOING, Why.POSTCOPY, Job.MIGRATION),
        (Power.UNSETTLED, Why.POSTCOPY, Job.NONE),
        {B: R},
    ),
    Phase.CONFIRMED: (
        (Power.LEFT, Why.MIGRATED, Job.NONE),
        (Power.RUNNING, Why.MIGRATED, Job.NONE),
        {B: R},
    ),
}


@pytest.mark.parametrize("phase", WORDS)
def test_each_phase_has_its_words_and_its_truth(phase: Phase) -> None:
    world, _ = at_phase(phase, Route(VM, A, B, undefine=False))
    source, destination, truth = WORDS[phase]
    for host, words in ((A, source), (B, destination)):
        seen = world.look(host, VM)
        assert (seen.power, seen.why, seen.job) == words
    assert holds(world) == truth
    assert len({writer.life for writer in world.writers()}) == 1


@pytest.mark.parametrize("phase", [phase for phase in WORDS if phase is not Phase.CONFIRMED])
def test_while_it_lasts_the_source_is_in_flight(phase: Phase) -> None:
    world, _ = at_phase(phase)
    assert world.look(A, VM).in_flight


KILL, CRASH = "kill", "crash"
Fault = Callable[[World, Migration], object]

FAULTS: dict[str, Fault] = {
    "kill source": lambda world, _: world.kill(A, VM),
    "kill destination": lambda world, _: world.kill(B, VM),
    "crash source": lambda world, _: world.crash(A),
    "crash destination": lambda world, _: world.crash(B),
    "cancel": lambda _, migration: migration.cancel(),
}

NOWHERE: dict[HostId, Hold] = {}
AT_A, AT_B, PAUSED_AT_A, BOUND_FOR_B = {A: R}, {B: R}, {A: P}, {B: ARRIVES}
REFUSED = None

# phase: (directly after: where it may write, and the phase; then, when all is over: the same)
TABLE: dict[Phase, dict[str, tuple[dict[HostId, Hold], Phase, dict[HostId, Hold], Phase] | None]] = {
    Phase.BEGUN: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.BEGUN, AT_B, Phase.CONFIRMED),  # nothing is there to be killed
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.BEGUN, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.PREPARED: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.COPYING: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.SOURCE_PAUSED: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),  # the VM lives on at the source
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.TRANSFERRED: {
        "kill source": (BOUND_FOR_B, Phase.TRANSFERRED, AT_B, Phase.CONFIRMED),  # the destination goes on
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "crash source": (BOUND_FOR_B, Phase.TRANSFERRED, AT_B, Phase.CONFIRMED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.SWITCHED_OVER: {
        "kill source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "kill destination": (NOWHERE, Phase.SWITCHED_OVER, NOWHERE, Phase.CONFIRMED),
        "crash source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "crash destination": (NOWHERE, Phase.SWITCHED_OVER, NOWHERE, Phase.CONFIRMED),
        "cancel": REFUSED,
    },
    Phase.POSTCOPY: {
        "kill source": (AT_B, Phase.POSTCOPY_FAILED, AT_B, Phase.POSTCOPY_FAILED),
        "kill destination": (NOWHERE, Phase.POSTCOPY_FAILED, NOWHERE, Phase.POSTCOPY_FAILED),
        "crash source": (AT_B, Phase.POSTCOPY_FAILED, AT_B, Phase.POSTCOPY_FAILED),
        "crash destination": (NOWHERE, Phase.POSTCOPY_FAILED, NOWHERE, Phase.POSTCOPY_FAILED),
        "cancel": REFUSED,
    },
    Phase.CONFIRMED: {
        "kill source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "kill destination": (NOWHERE, Phase.CONFIRMED, NOWHERE, Phase.CONFIRMED),
        "crash source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "crash destination": (NOWHERE, Phase.CONFIRMED, NOWHERE, Phase.CONFIRMED),
        "cancel": REFUSED,
    },
}


def test_the_table_has_every_phase_and_every_fault() -> None:
    assert set(TABLE) == set(WORDS)
    assert {tuple(row) for row in TABLE.values()} == {tuple(FAULTS)}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", TABLE)
def test_every_phase_with_every_fault(phase: Phase, fault: str) -> None:
    world, migration = at_phase(phase)
    life = world.writers()[0].life
    expected = TABLE[phase][fault]
    if expected is REFUSED:
        with pytest.raises(WorldRefusal, match="too late"):
            FAULTS[fault](world, migration)
        return
    FAULTS[fault](world, migration)
    directly = (holds(world), migration.phase)
    finally_ = (finish(migration), holds(world))
    assert (*directly, finally_[1], finally_[0]) == expected
    assert {writer.life for writer in world.writers()} <= {life}
    assert world.migrations == ()


def said(world: World) -> list[str]:
    """What was said, where, in order."""
    return [f"{event.host} {event.kind} {event.detail}" for event in world.pop_events()]


def test_a_migration_is_told_in_the_order_that_libvirt_was_seen_to_tell_it() -> None:
    world, migration = begun()
    finish(migration)
    assert said(world) == [
        "b started migrated",
        "a suspended migrated",
        "b defined added",
        "b resumed migrated",
        "a stopped migrated",
        "a job-completed migration",
    ]


def test_a_post_copy_is_told_in_its_order() -> None:
    world, migration = at_phase(Phase.POSTCOPY)
    finish(migration)
    assert said(world) == [
        "b started migrated",
        "a suspended migrated",
        "a suspended postcopy",
        "b defined added",
        "b resumed postcopy",
        "b resumed migrated",
        "a stopped migrated",
        "a job-completed migration",
    ]


def test_a_source_destroyed_after_the_hand_over_says_so_in_a_second_event_alone() -> None:
    world, _ = at_phase(Phase.SWITCHED_OVER)
    world.pop_events()
    world.kill(A, VM)
    assert said(world) == ["a stopped destroyed", "a stopped migrated"]
    seen = world.look(A, VM)
    assert (seen.power, seen.why) == (Power.OFF, Why.DESTROYED)
    assert not seen.in_flight  # this is the trap: the look before the kill is what tells (facts: libvirt 2.2)


def test_a_cancelled_migration_tells_the_source_nothing() -> None:
    world, migration = at_phase(Phase.COPYING)
    world.pop_events()
    migration.cancel()
    assert said(world) == ["b stopped failed"]
    assert world.look(A, VM).why is Why.BOOTED


def test_a_migration_cancelled_in_the_switch_over_resumes_the_source_aloud() -> None:
    world, migration = at_phase(Phase.SOURCE_PAUSED)
    world.pop_events()
    migration.cancel()
    assert said(world) == ["a resumed unpaused", "b stopped failed"]
    assert world.look(A, VM).why is Why.UNPAUSED


def test_a_source_that_may_forget_forgets_without_an_event_and_else_says_that_it_left() -> None:
    forgotten, migration = begun()
    finish(migration)
    assert forgotten.look(A, VM).power is Power.GONE
    kept, migration = begun(Route(VM, A, B, undefine=False))
    finish(migration)
    assert kept.look(A, VM).power is Power.LEFT
    assert kept.look(A, VM).in_flight


def test_a_libvirt_that_starts_again_has_forgotten_that_the_vm_left() -> None:
    world, migration = begun(Route(VM, A, B, undefine=False))
    finish(migration)
    world.crash(A)
    world.boot(A, (), 20.0)
    assert (world.look(A, VM).power, world.look(A, VM).why) == (Power.OFF, Why.UNKNOWN)


def test_what_came_without_persist_dest_is_transient_there() -> None:
    world, migration = begun(Route(VM, A, B, persist=False))
    finish(migration)
    assert not world.look(B, VM).persistent
    world.kill(B, VM)
    assert world.look(B, VM).power is Power.GONE


def test_a_destination_that_defined_the_vm_before_still_does_after_a_failure() -> None:
    world, migration = begun()
    world.define(B, VM)
    go_to(migration, Phase.COPYING)
    migration.cancel()
    seen = world.look(B, VM)
    assert (seen.power, seen.why, seen.persistent) == (Power.OFF, Why.FAILED, True)


def test_a_paused_vm_arrives_paused_and_stays_paused_when_it_is_cancelled() -> None:
    world, migration = begun()
    world.pause(A, VM)
    finish(migration)
    assert (world.look(B, VM).power, holds(world)) == (Power.PAUSED, {B: P})
    world, migration = begun()
    world.pause(A, VM)
    go_to(migration, Phase.TRANSFERRED)
    migration.cancel()
    assert (world.look(A, VM).power, world.look(A, VM).why, holds(world)) == (Power.PAUSED, Why.USER, {A: P})


def test_a_paused_vm_leaves_without_a_word_until_it_has_gone() -> None:
    world, migration = begun()
    world.pause(A, VM)
    world.pop_events()
    go_to(migration, Phase.SWITCHED_OVER)
    assert [event for event in world.pop_events() if event.host == A] == []
    seen = world.look(A, VM)
    assert (seen.power, seen.why, seen.job) == (Power.PAUSED, Why.USER, Job.MIGRATION)
    assert holds(world) == {B: P}
    world.pause(A, VM)
    with pytest.raises(WorldRefusal):
        world.resume(A, VM)
    assert holds(world) == {B: P}
    finish(migration)
    assert said(world) == ["a stopped migrated", "a job-completed migration"]


def test_a_source_killed_after_the_transfer_says_later_that_it_had_left() -> None:
    world, migration = at_phase(Phase.TRANSFERRED)
    world.pop_events()
    world.kill(A, VM)
    assert said(world) == ["a stopped destroyed"]
    finish(migration)
    assert said(world) == ["b defined added", "b resumed migrated", "a stopped migrated"]


def test_a_guest_that_shuts_down_while_it_is_copied_is_off_everywhere() -> None:
    world, migration = at_phase(Phase.COPYING)
    world.shut_down(A, VM)
    assert migration.phase is Phase.FAILING
    finish(migration)
    assert holds(world) == NOWHERE
    assert world.look(A, VM).why is Why.SHUTDOWN


def test_the_mark_goes_along_and_the_time_here_begins_anew() -> None:
    world, migration = begun()
    mark = world.writers()[0].life
    go_to(migration, Phase.SWITCHED_OVER)
    there = world.look(B, VM)
    assert there.life is not None
    assert (there.life.mark, there.life.began_at, there.arrived) == (mark, 2.0, True)
    assert not world.look(A, VM).arrived
    assert world.life(mark).began_at == 1.0


def test_a_life_migrates_on_and_back() -> None:
    world, migration = begun()
    finish(migration)
    assert finish(world.migrate(Route(VM, B, C))) is Phase.CONFIRMED
    assert finish(world.migrate(Route(VM, C, A))) is Phase.CONFIRMED
    assert holds(world) == AT_A


def test_both_sides_killed_after_the_transfer_end_the_life() -> None:
    for first, second in ((A, B), (B, A)):
        world, migration = at_phase(Phase.TRANSFERRED)
        world.kill(first, VM)
        world.kill(second, VM)
        assert finish(migration) is Phase.FAILED
        assert holds(world) == NOWHERE


def test_a_failed_post_copy_can_be_ended_on_both_sides() -> None:
    world, _ = at_phase(Phase.POSTCOPY)
    world.kill(A, VM)
    seen = world.look(B, VM)
    assert (seen.power, seen.why, seen.in_flight) == (Power.UNSETTLED, Why.POSTCOPY_FAILED, True)
    world.kill(B, VM)
    assert holds(world) == NOWHERE
    world, _ = at_phase(Phase.POSTCOPY)
    world.kill(B, VM)
    seen = world.look(A, VM)
    assert (seen.power, seen.why, seen.in_flight) == (Power.OUTGOING, Why.POSTCOPY_FAILED, True)
    with pytest.raises(WorldRefusal):
        world.resume(A, VM)


def test_what_libvirt_refuses_is_refused() -> None:
    world, migration = begun()
    for refused in (
        lambda: world.migrate(Route(VM, A, C)),  # one job at a time
        lambda: world.begin_save(A, VM),
        migration.start_postcopy,
        lambda: world.migrate(Route(Uuid("other"), A, B)),
    ):
        with pytest.raises(WorldRefusal):
            refused()
    world.clone(C, VM, 3.0)
    for route in (Route(VM, C, A), Route(VM, C, C), Route(VM, C, HostId("nowhere"))):
        with pytest.raises(WorldRefusal):
            world.migrate(route)
    go_to(migration, Phase.PREPARED)
    for refused in (lambda: world.resume(B, VM), lambda: world.pause(B, VM), lambda: world.shut_down(B, VM)):
        with pytest.raises(WorldRefusal):
            refused()


def test_a_destination_that_got_a_copy_of_its_own_meanwhile_ends_the_migration() -> None:
    world, migration = begun()
    world.clone(B, VM, 2.0)
    migration.step(3.0)
    assert migration.phase is Phase.FAILED
    assert holds(world) == {A: R, B: R}
    assert not world.look(A, VM).in_flight


def test_a_destination_may_still_start_to_wait_after_the_source_was_killed() -> None:
    world, migration = begun()
    world.kill(A, VM)
    assert world.look(B, VM).power is Power.GONE
    migration.step(3.0)
    assert (world.look(B, VM).power, holds(world)) == (Power.INCOMING, NOWHERE)
    finish(migration)
    assert said(world) == ["a stopped destroyed", "b started migrated", "b stopped failed"]
    assert world.look(B, VM).power is Power.GONE


@pytest.mark.parametrize("fault", ("crash", "clone"))
def test_a_destination_that_went_down_or_got_a_copy_meanwhile_does_not_wait_for_a_dead_source(fault: str) -> None:
    world, migration = begun()
    world.kill(A, VM)
    if fault == "crash":
        world.crash(B)
    else:
        world.clone(B, VM, 2.0)
    assert migration.step(3.0) is Phase.FAILED
