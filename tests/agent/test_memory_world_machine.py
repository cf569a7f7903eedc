"""The truth about VMs on several hosts: what never happens, whatever one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fencebus_agent.death import Job
from fencebus_agent.memory_machines import Hold, Mark, WorldRefusal
from fencebus_agent.memory_migration import Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Uuid
from tests.agent.memory_worlds import (
    HOSTS,
    OTHER,
    VM,
    A,
    B,
)

T = TypeVar("T")


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
