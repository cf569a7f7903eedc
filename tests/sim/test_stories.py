"""What a host of the simulation tells of the lives that were there is what the driver for libvirt would tell."""

from __future__ import annotations

from fencebus_agent.death import Power, Witness
from fencebus_agent.lives import Lives
from fencebus_agent.memory_host import MemoryHost
from fencebus_agent.memory_machines import Glance, WorldEvent
from fencebus_agent.memory_world import Route, World
from fencebus_schemas.model import HostId, Incarnation, Life, Uuid
from tests.sim.disk import LifeStory
from tests.sim.stories import Telling

VM = Uuid("00000000-0000-4000-8000-000000000001")
ONE, TWO = HostId("one"), HostId("two")


def event(kind: str, detail: str) -> WorldEvent:
    return WorldEvent(ONE, VM, kind, detail)


def test_the_echo_of_a_kill_ends_no_life_that_had_left_before() -> None:
    """Dense seed 1976: the first life had gone to another host, the second was killed, and the first came back."""
    story = LifeStory()
    told = Telling(story)
    told.looked(Glance(Power.RUNNING, life=Life("first")))
    told.heard(event("suspended", "migrated"), "first")
    told.heard(event("stopped", "migrated"), "")
    assert story.left == ["first"]
    told.heard(event("started", "booted"), "second")
    told.killed("second")
    told.heard(event("stopped", "destroyed"), "")
    assert story.ended == ["second"]


def test_the_second_word_about_a_source_that_was_killed_after_it_had_handed_over_takes_the_end_back() -> None:
    """Facts of libvirt, 2.2."""
    story = LifeStory()
    told = Telling(story)
    told.looked(Glance(Power.RUNNING, life=Life("first")))
    told.killed("first")
    told.heard(event("stopped", "destroyed"), "")
    assert (story.ended, story.left) == (["first"], [])
    told.heard(event("stopped", "migrated"), "")
    assert (story.ended, story.left) == ([], ["first"])


def test_the_host_in_memory_tells_the_same_of_that_story() -> None:
    world = World((ONE, TWO))
    world.define(ONE, VM)
    first = world.start(ONE, VM, 1.0)
    host = MemoryHost(world, Witness(ONE, Incarnation("boot", "machine", "1")))
    migration = world.migrate(Route(VM, ONE, TWO))
    while not migration.phase.over:
        migration.step(2.0)
    second = world.clone(ONE, VM, 3.0)
    host.strike(VM, host.glance(VM), 4.0)
    assert host.sight(VM).ended == (second,)
    assert first not in host.sight(VM).ended


def test_the_bookkeeping_of_the_driver_for_libvirt_tells_the_same_of_that_story() -> None:
    marks = iter(("first", "second"))
    lives = Lives(lambda: next(marks))
    lives.read(VM, 1, lives.begins(VM, 1))
    lives.leaves(VM)
    lives.read(VM, 2, lives.begins(VM, 2))
    lives.runs(VM, 2)
    lives.ends(VM, "second")  # the proof
    lives.ends(VM, lives.here(VM))  # its echo: "stopped, destroyed"
    assert lives.past(VM).ended == ("second",)
