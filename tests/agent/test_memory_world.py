"""The truth about VMs on several hosts: starts, ends, saves, crashes, copies; and what never happens whatever one
does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import Glance, Hold, Mark, Why, WorldEvent, WorldRefusal
from fencebus_agent.memory_migration import Phase, Route
from fencebus_agent.memory_vm import MemoryVm
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Uuid, VmState

VM, OTHER = Uuid("00000000-0000-0000-0000-000000000001"), Uuid("00000000-0000-0000-0000-000000000002")
A, B, C = HOSTS = HostId("a"), HostId("b"), HostId("c")

T = TypeVar("T")


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


hosts, vms = st.sampled_from(HOSTS), st.sampled_from((VM, OTHER))


def chosen(among: Sequence[T], which: int) -> Sequence[T]:
    """One of them, if there is any."""
    return [among[which % len(among)]] if among else []


class AnythingGoes(RuleBasedStateMachine):
    """Every verb in every order; what libvirt would refuse is refused and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(HOSTS)
        self.dead: set[Mark] = set()
        self.born: set[Mark] = set()
        self.now = 0.0
        for host in (A, B):
            self.world.define(host, VM)
        self.world.define(A, OTHER)
        self.born.add(self.world.start(A, VM, self.tick()))

    @rule(host=hosts, vm=vms, restores=st.booleans())
    def start(self, host: HostId, vm: Uuid, restores: bool) -> None:
        mark = self.attempt(self.world.create if restores else self.world.start, host, vm, self.tick())
        if mark is not None:
            self.born.add(mark)

    @rule(host=hosts, vm=vms, verb=st.integers(0, 3))
    def change(self, host: HostId, vm: Uuid, verb: int) -> None:
        world = self.world
        self.attempt((world.define, world.undefine, world.drop_image, world.forget)[verb], host, vm)

    @rule(which=st.integers(0, 2), verb=st.integers(0, 5))
    def act(self, which: int, verb: int) -> None:
        world = self.world
        verbs = (world.begin_save, world.end_save, world.pause, world.resume, world.kill, world.shut_down)
        for writer in chosen(world.writers(), which):
            self.attempt(verbs[verb], writer.host, writer.vm)

    @rule(which=st.integers(0, 2), to=hosts, persist=st.booleans(), undefine=st.booleans())
    def migrate(self, which: int, to: HostId, persist: bool, undefine: bool) -> None:
        for writer in chosen(self.world.writers(), which):
            self.attempt(self.world.migrate, Route(writer.vm, writer.host, to, persist, undefine))

    @precondition(lambda self: self.world.migrations)
    @rule(steps=st.integers(1, 4), which=st.integers(0, 1))
    def step(self, steps: int, which: int) -> None:
        for migration in chosen(self.world.migrations, which):
            for _ in range(steps):
                migration.step(self.tick())

    @precondition(lambda self: self.world.migrations)
    @rule(which=st.integers(0, 1), postcopy=st.booleans())
    def turn(self, which: int, postcopy: bool) -> None:
        for migration in chosen(self.world.migrations, which):
            if postcopy:
                for _ in range(2 if migration.phase is Phase.BEGUN else 0):
                    migration.step(self.tick())
            self.attempt(migration.start_postcopy if postcopy else migration.cancel)

    @precondition(lambda self: self.world.migrations)
    @rule(which=st.integers(0, 1), source=st.booleans(), crash=st.booleans())
    def hit(self, which: int, source: bool, crash: bool) -> None:
        """A side of a migration ends in the midst of it."""
        for migration in chosen(self.world.migrations, which):
            host = migration.route.source if source else migration.route.destination
            if crash:
                self.attempt(self.world.crash, host)
            else:
                self.attempt(self.world.kill, host, migration.route.vm)

    @rule()
    def boot(self) -> None:
        for host in HOSTS:
            self.born.update(self.attempt(self.world.boot, host, (VM, OTHER), self.tick()) or ())
        if not self.world.writers():
            self.start(A, VM, False)

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def attempt(self, verb: Callable[..., T], *arguments: object) -> T | None:
        """Do it; a refusal must have changed nothing, and gives None."""
        before = self.state()
        try:
            return verb(*arguments)
        except WorldRefusal:
            assert self.state() == before
            return None

    def state(self) -> tuple[object, ...]:
        world = self.world
        looks = {(host, vm): world.look(host, vm) for host in HOSTS if world.is_up(host) for vm in (VM, OTHER)}
        return (looks, world.writers(), [migration.phase for migration in world.migrations])

    @invariant()
    def a_life_runs_in_one_place_at_most(self) -> None:
        running = [writer.life for writer in self.world.writers() if writer.hold is Hold.RUNS]
        assert len(running) == len(set(running))

    @invariant()
    def a_life_is_in_two_places_only_between_the_transfer_and_the_hand_over(self) -> None:
        places: dict[Mark, set[Hold]] = {}
        for writer in self.world.writers():
            assert writer.hold not in places.setdefault(writer.life, set())
            places[writer.life].add(writer.hold)
        assert all(len(holds) == 1 or holds == {Hold.STANDS, Hold.ARRIVES} for holds in places.values())

    @invariant()
    def what_may_write_no_more_never_writes_again(self) -> None:
        writing = {writer.life for writer in self.world.writers()}
        assert not writing & self.dead
        self.dead |= self.born - writing

    @invariant()
    def what_may_write_is_a_claim_of_its_host_or_in_flight(self) -> None:
        for writer in self.world.writers():
            if self.world.is_up(writer.host):
                seen = self.world.look(writer.host, writer.vm)
                assert seen.state.is_claim or seen.image == writer.life

    @invariant()
    def a_plain_process_is_the_only_place_of_its_life(self) -> None:
        """What design 6.3 stands on: the exit of a plain process without a job ends its life."""
        for writer in self.world.writers():
            if self.world.is_up(writer.host):
                seen = self.world.look(writer.host, writer.vm)
                if writer.hold is Hold.RUNS and not seen.in_flight:
                    assert sum(other.life == writer.life for other in self.world.writers()) == 1

    @invariant()
    def a_host_that_is_down_has_only_images(self) -> None:
        down = {host for host in HOSTS if not self.world.is_up(host)}
        assert all(writer.hold is Hold.IMAGE for writer in self.world.writers() if writer.host in down)

    @invariant()
    def what_shows_a_migration_job_is_in_a_migration(self) -> None:
        under_way = {
            (host, m.route.vm) for m in self.world.migrations for host in (m.route.source, m.route.destination)
        }
        for host in HOSTS:
            for vm in self.world.vms(host) if self.world.is_up(host) else ():
                if self.world.look(host, vm).job in (Job.MIGRATION, Job.UNSEEN):
                    assert (host, vm) in under_way

    def teardown(self) -> None:
        """Every migration ends."""
        for migration in self.world.migrations:
            for _ in Phase:
                migration.step(self.tick())
            assert migration.phase.over


TestAnythingGoes = AnythingGoes.TestCase
TestAnythingGoes.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
