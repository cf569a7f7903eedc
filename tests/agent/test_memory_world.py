"""The truth about VMs on several hosts: starts, ends, saves, crashes, copies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import Glance, Hold, Why, WorldEvent, WorldRefusal
from fencebus_agent.memory_migration import Route
from fencebus_agent.memory_vm import MemoryVm
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Uuid, VmState
from tests.agent.memory_worlds import (
    HOSTS,
    OTHER,
    VM,
    A,
    B,
)


@pytest.fixture
def world() -> World:
    """VM is defined on A, and off."""
    world = World(HOSTS)
    world.define(A, VM)
    world.pop_events()
    return world


def said(world: World) -> list[tuple[str, str]]:
    return [(event.kind, event.detail) for event in world.pop_events()]


def test_a_fresh_boot_is_a_new_life_each_time(world: World) -> None:
    first = world.start(A, VM, 1.0)
    seen = world.look(A, VM)
    assert (seen.power, seen.why, seen.state, seen.in_flight) == (Power.RUNNING, Why.BOOTED, VmState.RUNNING, False)
    assert seen.life is not None
    assert (seen.life.mark, seen.life.began_at, seen.arrived, seen.persistent) == (first, 1.0, False, True)
    world.kill(A, VM)
    assert world.start(A, VM, 2.0) != first
    assert (world.life(first).vm, world.life(first).host, world.life(first).began_at) == (VM, A, 1.0)


def test_a_kill_says_what_stood_there_and_a_second_one_finds_nothing(world: World) -> None:
    life = world.start(A, VM, 1.0)
    ended = world.kill(A, VM)
    assert ended is not None
    assert ended.life is not None
    assert ended.life.mark == life
    assert world.kill(A, VM) is None
    assert world.writers() == ()
    seen = world.look(A, VM)
    assert (seen.power, seen.why, seen.state) == (Power.OFF, Why.DESTROYED, VmState.OFF)


def test_a_kill_of_one_process_does_not_hit_the_next(world: World) -> None:
    world.start(A, VM, 1.0)
    old = world.look(A, VM).process
    world.kill(A, VM)
    world.start(A, VM, 2.0)
    assert world.kill(A, VM, process=old) is None
    assert world.look(A, VM).power is Power.RUNNING


def test_a_transient_vm_is_forgotten_when_it_ends(world: World) -> None:
    world.start(B, VM, 1.0)
    assert not world.look(B, VM).persistent
    world.shut_down(B, VM)
    assert world.look(B, VM) == Glance(Power.GONE)
    assert world.vms(B) == ()


def test_undefine_leaves_a_running_vm_as_transient_and_a_vm_that_is_off_unknown(world: World) -> None:
    world.start(A, VM, 1.0)
    world.undefine(A, VM)
    assert (world.look(A, VM).power, world.look(A, VM).persistent) == (Power.RUNNING, False)
    world.kill(A, VM)
    assert world.look(A, VM).power is Power.GONE
    world.define(A, OTHER)
    world.undefine(A, OTHER)
    with pytest.raises(WorldRefusal, match="no such domain"):
        world.undefine(A, OTHER)


def test_a_saved_life_is_a_life_and_restoring_goes_on_with_it(world: World) -> None:
    life = world.start(A, VM, 1.0)
    world.save(A, VM)
    seen = world.look(A, VM)
    assert (seen.power, seen.why, seen.state, seen.image) == (Power.SAVED, Why.SAVED, VmState.SAVED, life)
    assert [(writer.life, writer.hold) for writer in world.writers()] == [(life, Hold.IMAGE)]
    assert world.restore(A, VM, 5.0) == life
    seen = world.look(A, VM)
    assert (seen.why, seen.image, seen.arrived) == (Why.RESTORED, None, True)


def test_a_save_in_the_making_is_a_paused_vm_with_a_job_that_stays(world: World) -> None:
    world.start(A, VM, 1.0)
    world.begin_save(A, VM)
    seen = world.look(A, VM)
    assert (seen.power, seen.job, seen.in_flight, seen.image) == (Power.PAUSED, Job.STAYS, False, None)
    verbs: tuple[Callable[[HostId, Uuid], None], ...] = (world.resume, world.pause, world.begin_save)
    for refused in verbs:
        with pytest.raises(WorldRefusal):
            refused(A, VM)
    world.kill(A, VM)
    assert world.writers() == ()
    with pytest.raises(WorldRefusal):
        world.end_save(A, VM)


def test_a_plain_start_by_an_administrator_brings_the_saved_life_back_and_a_fresh_boot_ends_it(world: World) -> None:
    life = world.start(A, VM, 1.0)
    world.save(A, VM)
    assert world.create(A, VM, 2.0) == life
    world.save(A, VM)
    fresh = world.start(A, VM, 3.0)
    assert [writer.life for writer in world.writers()] == [fresh]
    assert fresh != life


def test_an_image_that_is_set_aside_ends_its_life(world: World) -> None:
    life = world.start(A, VM, 1.0)
    world.save(A, VM)
    with pytest.raises(WorldRefusal, match="managed save image exists"):
        world.undefine(A, VM)
    assert world.drop_image(A, VM) == life
    assert world.writers() == ()
    assert world.look(A, VM).power is Power.OFF
    with pytest.raises(WorldRefusal, match="no managed save image"):
        world.drop_image(A, VM)
    with pytest.raises(WorldRefusal, match="no managed save image"):
        world.restore(A, VM, 2.0)


def test_a_transient_vm_cannot_be_saved(world: World) -> None:
    world.start(B, VM, 1.0)
    with pytest.raises(WorldRefusal, match="transient"):
        world.begin_save(B, VM)


def test_a_paused_vm_may_write_as_it_can_be_resumed(world: World) -> None:
    world.start(A, VM, 1.0)
    world.pause(A, VM)
    assert (world.look(A, VM).state, world.look(A, VM).why) == (VmState.PAUSED, Why.USER)
    assert [writer.hold for writer in world.writers()] == [Hold.STANDS]
    with pytest.raises(WorldRefusal, match="does not run"):
        world.shut_down(A, VM)
    world.resume(A, VM)
    assert (world.look(A, VM).state, world.look(A, VM).why) == (VmState.RUNNING, Why.UNPAUSED)


def test_the_same_vm_on_two_hosts_is_two_lives(world: World) -> None:
    lives = {world.start(A, VM, 1.0), world.clone(B, VM, 2.0)}
    assert {writer.life for writer in world.writers()} == lives
    assert len(lives) == 2
    world.kill(A, VM)
    assert [writer.host for writer in world.writers()] == [B]


def test_a_crash_ends_everything_in_silence_and_the_disk_stays(world: World) -> None:
    world.define(A, OTHER)
    saved = world.start(A, OTHER, 1.0)
    world.save(A, OTHER)
    world.start(A, VM, 1.0)
    world.pop_events()
    world.crash(A)
    assert said(world) == []
    assert [(writer.life, writer.hold) for writer in world.writers()] == [(saved, Hold.IMAGE)]
    for refused in (
        lambda: world.look(A, VM),
        lambda: world.vms(A),
        lambda: world.start(A, VM, 2.0),
        lambda: world.kill(A, VM),
        lambda: world.crash(A),
    ):
        with pytest.raises(WorldRefusal, match="down"):
            refused()
    assert not world.is_up(A)


def test_a_host_that_boots_restores_what_was_saved_and_starts_the_rest_afresh(world: World) -> None:
    world.define(A, OTHER)
    saved = world.start(A, OTHER, 1.0)
    world.save(A, OTHER)
    old = world.start(A, VM, 1.0)
    world.start(A, Uuid("transient"), 1.0)
    world.crash(A)
    fresh, again = world.boot(A, (VM, OTHER, Uuid("transient")), 9.0)
    assert again == saved
    assert fresh != old
    assert set(world.vms(A)) == {VM, OTHER}
    with pytest.raises(WorldRefusal, match="only a host that is down"):
        world.boot(A, (), 9.0)


def test_a_save_in_the_making_is_lost_in_a_crash(world: World) -> None:
    world.start(A, VM, 1.0)
    world.begin_save(A, VM)
    world.crash(A)
    assert world.writers() == ()
    world.boot(A, (), 2.0)
    assert (world.look(A, VM).power, world.look(A, VM).why) == (Power.OFF, Why.UNKNOWN)


def test_what_left_this_world_is_forgotten_without_a_word(world: World) -> None:
    world.start(A, VM, 1.0)
    world.pop_events()
    world.forget(A, VM)
    assert said(world) == []
    assert world.look(A, VM).power is Power.GONE


def test_each_change_is_told_as_libvirt_tells_it(world: World) -> None:
    world.start(A, VM, 1.0)
    assert said(world) == [("resumed", "unpaused"), ("started", "booted")]
    world.pause(A, VM)
    world.resume(A, VM)
    assert said(world) == [("suspended", "paused"), ("resumed", "unpaused")]
    world.save(A, VM)
    assert said(world) == [("suspended", "paused"), ("job-completed", "save"), ("stopped", "saved")]
    world.restore(A, VM, 2.0)
    assert said(world) == [("started", "restored"), ("resumed", "from-snapshot")]
    world.kill(A, VM, Why.CRASHED)
    assert said(world) == [("stopped", "failed")]
    world.undefine(A, VM)
    assert said(world) == [("undefined", "removed")]


def test_who_listens_to_a_host_hears_it_at_once_and_nobody_else_again(world: World) -> None:
    heard: list[WorldEvent] = []
    world.listen(A, heard.append)
    world.start(A, VM, 1.0)
    world.start(B, VM, 1.0)
    assert [event.kind for event in heard] == ["resumed", "started"]
    assert {event.host for event in world.pop_events()} == {B}
    world.stop_listening(A, heard.append)
    world.kill(A, VM)
    assert said(world) == [("stopped", "destroyed")]


def test_a_description_travels_with_the_vm(world: World) -> None:
    assert world.description(VM).name == VM
    world.describe(MemoryVm(VM, "vm1"))
    assert world.description(VM).name == "vm1"


def test_a_host_is_named_once_and_an_unknown_one_is_refused(world: World) -> None:
    world.add_host(A)
    assert world.hosts == HOSTS
    with pytest.raises(WorldRefusal, match="no such host") as refusal:
        world.look(HostId("nowhere"), VM)
    assert "nowhere" in str(refusal.value)
    with pytest.raises(WorldRefusal) as refused:
        world.boot(HostId("nowhere"), (), 0.0)
    assert str(refused.value) == "nowhere: only a host that is down can boot"


def test_the_same_calls_give_the_same_world() -> None:
    def run() -> tuple[object, ...]:
        world = World(HOSTS)
        world.define(A, VM)
        world.start(A, VM, 1.0)
        migration = world.migrate(Route(VM, A, B))
        while not migration.phase.over:
            migration.step(2.0)
        return (world.writers(), world.pop_events(), [world.look(host, VM) for host in HOSTS])

    assert run() == run()
