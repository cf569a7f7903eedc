"""Worlds of a few hosts, and migrations in them that are taken to a certain phase."""

from __future__ import annotations

from fencebus_agent.memory_machines import Hold
from fencebus_agent.memory_migration import Migration, Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId, Uuid

VM, OTHER = Uuid("00000000-0000-0000-0000-000000000001"), Uuid("00000000-0000-0000-0000-000000000002")
A, B, C = HOSTS = HostId("a"), HostId("b"), HostId("c")


R, P, ARRIVES = Hold.RUNS, Hold.STANDS, Hold.ARRIVES

NOWHERE: dict[HostId, Hold] = {}
AT_A, AT_B, PAUSED_AT_A, BOUND_FOR_B = {A: R}, {B: R}, {A: P}, {B: ARRIVES}

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
