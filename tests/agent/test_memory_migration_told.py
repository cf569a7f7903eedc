"""A live migration in memory: what each side tells of it, what goes along, and what is refused."""

from __future__ import annotations

import pytest

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import Why, WorldRefusal
from fencebus_agent.memory_migration import Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Uuid
from tests.agent.memory_worlds import (
    AT_A,
    NOWHERE,
    VM,
    A,
    B,
    C,
    P,
    R,
    at_phase,
    begun,
    finish,
    go_to,
    holds,
)


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
