"""A life keeps its mark through a real migration, and the hosts agree on what became of it (S2, S14)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import libvirt
import pytest

from fencebus_schemas.model import LEFT_UNMARKED, Sight, VmState
from tests.agent.distant_driver import IN_FLIGHT, PROVEN, DistantDriver
from tests.agent.test_migration import BALLAST, SLOW, Road, Traveller
from tests.guests.hosts import LIVE, MOVE, two_hosts

pytestmark = pytest.mark.timeout(90)

PATIENCE = 30.0  # seconds for what a driver does a moment after an event


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The hosts and their drivers, which mark lives."""
    ballast = tmp_path_factory.mktemp("ballast") / "memory"
    ballast.write_bytes(os.urandom(BALLAST))
    with two_hosts() as (source, target), ExitStack() as stack:
        drivers = [stack.enter_context(DistantDriver(host, marks=True)) for host in (source, target)]
        yield Road(source, target, drivers[0], drivers[1], ballast)


@pytest.fixture
def traveller(road: Road) -> Iterator[Traveller]:
    """A running VM."""
    made = Traveller(road)
    yield made
    made.discard()


def seen(driver: DistantDriver, vm: str, what: Callable[[Sight], bool]) -> Sight:
    """A look of which that is true; the last one if none is in time."""
    limit = time.monotonic() + PATIENCE
    while not what(sight := driver.look(vm)) and time.monotonic() < limit:
        time.sleep(0.02)
    return sight


def is_marked(sight: Sight) -> bool:
    """Its life has more than the number of a process."""
    return sight.life is not None and ":" not in sight.life.mark


def mark_at(driver: DistantDriver, vm: str) -> str:
    """The mark of the life there."""
    sight = seen(driver, vm, is_marked)
    assert is_marked(sight)
    assert sight.life is not None
    return sight.life.mark


@pytest.mark.parametrize("flags", (LIVE, MOVE), ids=("keeps the definition", "moves it"))
def test_the_mark_arrives_and_the_end_there_covers_the_departure_here(
    road: Road, traveller: Traveller, flags: int
) -> None:
    mark = mark_at(road.here, traveller.vm)
    traveller.depart(flags)
    assert traveller.arrive()
    away = seen(road.here, traveller.vm, lambda sight: sight.denies)
    assert (away.denies, away.left, away.ended, away.life) == (True, (mark,), (), None)
    assert mark_at(road.there, traveller.vm) == mark
    assert road.there.off(traveller.vm) == PROVEN
    assert seen(road.there, traveller.vm, lambda sight: sight.denies).ended == (mark,)


def test_a_daemon_that_starts_after_the_departure_says_that_a_life_left(road: Road, traveller: Traveller) -> None:
    traveller.depart(LIVE)
    assert traveller.arrive()
    with DistantDriver(road.source, marks=True) as newcomer:
        away = newcomer.look(traveller.vm)
    assert (away.denies, away.left, away.ended) == (True, (LEFT_UNMARKED,), ())


def test_the_next_life_there_has_another_mark(road: Road, traveller: Traveller) -> None:
    mark = mark_at(road.here, traveller.vm)
    traveller.depart()
    assert traveller.arrive()
    arrived = road.target.libvirtd.admin.lookupByUUIDString(traveller.vm)
    arrived.destroy()
    arrived.create()
    assert mark_at(road.there, traveller.vm) != mark
    assert road.there.look(traveller.vm).ended == (mark,)


def test_a_life_that_has_come_back_has_not_left(road: Road, traveller: Traveller) -> None:
    mark = mark_at(road.here, traveller.vm)
    traveller.depart()
    assert traveller.arrive()
    road.source.receive(road.target.libvirtd.admin.lookupByUUIDString(traveller.vm))
    assert mark_at(road.here, traveller.vm) == mark
    assert road.here.look(traveller.vm).left == ()
    assert seen(road.there, traveller.vm, lambda sight: sight.denies).left == (mark,)


def test_in_mid_copy_both_claim_it_in_flight(road: Road, traveller: Traveller) -> None:
    mark = mark_at(road.here, traveller.vm)
    traveller.depart(speed=SLOW)
    road.there.hears(traveller.vm, "started", "migration")
    here, there = road.here.look(traveller.vm), seen(road.there, traveller.vm, is_marked)
    assert (here.state, here.in_flight, here.life and here.life.mark) == (VmState.RUNNING, True, mark)
    assert (there.state, there.in_flight, there.life and there.life.mark) == (VmState.INCOMING, True, mark)
    traveller.domain.abortJob()
    assert not traveller.arrive()
    denied = seen(road.there, traveller.vm, lambda sight: sight.denies)
    assert (denied.denies, denied.ended, denied.left) == (True, (), ())
    here = road.here.look(traveller.vm)
    assert (here.in_flight, here.life and here.life.mark, here.left) == (False, mark, ())


def test_a_kill_in_mid_copy_leaves_two_hosts_that_deny(road: Road, traveller: Traveller) -> None:
    mark_at(road.here, traveller.vm)
    traveller.depart(speed=SLOW)
    road.there.hears(traveller.vm, "started", "migration")
    assert road.here.off(traveller.vm) == IN_FLIGHT
    assert not traveller.arrive()
    for driver in (road.here, road.there):
        sight = seen(driver, traveller.vm, lambda sight: sight.denies)
        assert (sight.denies, sight.left) == (True, ())


def test_a_life_that_migrates_without_its_mark_gets_another_and_that_one_does_not_cover_the_departure(
    road: Road, traveller: Traveller
) -> None:
    """Its mark is taken away, as by an administrator's editing."""
    mark_at(road.here, traveller.vm)
    uri, live = "urn:fencebus:life:1", libvirt.VIR_DOMAIN_AFFECT_LIVE
    traveller.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, None, uri, live)
    traveller.depart()
    assert traveller.arrive()
    mark = mark_at(road.there, traveller.vm)
    left = seen(road.here, traveller.vm, lambda sight: sight.denies).left
    assert left
    assert mark not in left


def test_in_post_copy_the_life_is_claimed_in_flight_where_it_runs(road: Road, traveller: Traveller) -> None:
    mark = mark_at(road.here, traveller.vm)
    traveller.depart(MOVE | libvirt.VIR_MIGRATE_POSTCOPY, SLOW)
    road.there.hears(traveller.vm, "started", "migration")
    traveller.turn_post_copy()
    road.there.hears(traveller.vm, "resumed")
    there = road.there.look(traveller.vm)
    assert (there.in_flight, there.life and there.life.mark) == (True, mark)
    assert not road.here.look(traveller.vm).denies
    assert traveller.arrive()
    assert seen(road.here, traveller.vm, lambda sight: sight.denies).left == (mark,)
