"""Real live migrations between two hosts, and kills at every moment of them: what the driver may say of each (S14).

Times and outcomes: facts, libvirt 2.1 to 2.3.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import libvirt
import pytest

from fencebus_agent import process_table
from fencebus_schemas.model import VmState
from tests.agent.distant_driver import IN_FLIGHT, PROVEN, DistantDriver
from tests.guests.hosts import LIVE, MOVE, TwinHost, two_hosts
from tests.hypervisors import fresh_name
from tests.libvirtd import guest_xml

pytestmark = pytest.mark.timeout(90)

SLOW = 1  # MiB/s
BALLAST = 5 << 20
"""Bytes of memory that have to be copied: at SLOW it takes five seconds."""
LOADED = """\
<qemu:commandline><qemu:arg value='-device'/>
<qemu:arg value='loader,file={file},addr=0x800000,force-raw=on'/></qemu:commandline></domain>"""


@dataclass(frozen=True)
class Road:
    """Two hosts with a driver each, and the memory of the VMs that travel."""

    source: TwinHost
    target: TwinHost
    here: DistantDriver
    there: DistantDriver
    ballast: Path


class Traveller:
    """A VM on the source that is going to migrate."""

    def __init__(self, road: Road) -> None:
        self._road = road
        for host in (road.source, road.target):
            host.revive()
        self.name = fresh_name()
        xml = guest_xml(self.name).replace(
            "<domain type='qemu'>", "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
        )
        xml = xml.replace("</domain>", LOADED.format(file=road.ballast))
        self.domain = road.source.libvirtd.admin.defineXML(xml)
        self.domain.create()
        self.vm = self.domain.UUIDString()
        self.error: libvirt.libvirtError | None = None
        self._thread: threading.Thread | None = None

    def depart(self, flags: int = MOVE, speed: int = 0, *, p2p: bool = False) -> None:
        """Begin the migration."""
        self._thread = threading.Thread(target=self._migrate, args=(flags, speed, p2p))
        self._thread.start()

    def _migrate(self, flags: int, speed: int, p2p: bool) -> None:
        try:
            self._road.target.receive(self.domain, flags, speed, p2p=p2p)
        except libvirt.libvirtError as error:
            self.error = error

    def arrive(self) -> bool:
        """Wait until the migration has ended, in one way or the other; False if it failed."""
        assert self._thread is not None
        self._thread.join()
        return self.error is None

    @property
    def arrived(self) -> bool:
        """True once the migration has ended, in one way or the other."""
        return self._thread is None or not self._thread.is_alive()

    def turn_post_copy(self) -> None:
        """Let it run at the target, whatever is still to be copied, as soon as the copy has begun."""
        limit = time.monotonic() + 30
        while True:
            try:
                self.domain.migrateStartPostCopy()
            except libvirt.libvirtError:
                assert time.monotonic() < limit
                time.sleep(0.05)
            else:
                return

    @property
    def lives(self) -> int:
        """How many processes of it there are, on both hosts together."""
        return sum(qemu.vm == self.vm for qemu in process_table.scan())

    def crash(self) -> None:
        """Kill its first process, which is the source's, behind libvirt's back."""
        first = min((qemu for qemu in process_table.scan() if qemu.vm == self.vm), key=lambda qemu: qemu.started)
        os.kill(first.pid, signal.SIGKILL)

    def settle(self, lives: int) -> None:
        """Wait until so many processes of it are left, for a moment at least."""
        limit = time.monotonic() + 30
        while self.lives != lives:
            assert time.monotonic() < limit, f"{self.lives} processes of {self.name}"
            time.sleep(0.02)

    def discard(self) -> None:
        """End it everywhere."""
        if self._thread is not None:
            self._thread.join()
        for host in (self._road.source, self._road.target):
            host.libvirtd.discard(self.vm)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The hosts and their drivers."""
    ballast = tmp_path_factory.mktemp("ballast") / "memory"
    ballast.write_bytes(os.urandom(BALLAST))
    with two_hosts() as (source, target), ExitStack() as stack:
        drivers = [stack.enter_context(DistantDriver(host)) for host in (source, target)]
        yield Road(source, target, drivers[0], drivers[1], ballast)


@pytest.fixture
def traveller(road: Road) -> Iterator[Traveller]:
    """A running VM."""
    made = Traveller(road)
    yield made
    made.discard()


@pytest.mark.parametrize("p2p", (False, True), ids=("direct", "p2p"))
def test_a_vm_that_has_migrated_is_in_flight_at_its_source_and_proven_off_where_it_is(
    road: Road, traveller: Traveller, p2p: bool
) -> None:
    traveller.depart(p2p=p2p)
    assert traveller.arrive()
    traveller.settle(1)
    assert road.here.state(traveller.vm) in (None, VmState.UNKNOWN)
    assert road.here.off(traveller.vm) == IN_FLIGHT
    assert traveller.lives == 1
    assert road.there.state(traveller.vm) is VmState.RUNNING
    assert road.there.off(traveller.vm) == PROVEN
    assert traveller.lives == 0


def test_a_source_that_keeps_the_definition_does_not_call_it_off(road: Road, traveller: Traveller) -> None:
    traveller.depart(LIVE)
    assert traveller.arrive()
    traveller.settle(1)
    assert road.here.state(traveller.vm) is VmState.UNKNOWN
    assert road.here.off(traveller.vm) == IN_FLIGHT


def test_a_vm_that_came_back_is_proven_off_at_home_and_in_flight_where_it_was(road: Road, traveller: Traveller) -> None:
    traveller.depart()
    assert traveller.arrive()
    away = road.target.libvirtd.admin.lookupByUUIDString(traveller.vm)
    road.source.receive(away)
    traveller.settle(1)
    assert road.there.off(traveller.vm) == IN_FLIGHT
    assert traveller.lives == 1
    assert road.here.off(traveller.vm) == PROVEN


@pytest.mark.parametrize("p2p", (False, True), ids=("direct", "p2p"))
def test_a_kill_at_the_source_in_mid_copy_is_in_flight_though_it_ends_the_vm(
    road: Road, traveller: Traveller, p2p: bool
) -> None:
    traveller.depart(speed=SLOW, p2p=p2p)
    road.there.hears(traveller.vm, "started", "migration")
    assert road.here.off(traveller.vm) == IN_FLIGHT
    assert not traveller.arrive()
    traveller.settle(0)
    assert road.here.off(traveller.vm) == IN_FLIGHT  # it is still not for the source to say
    assert road.there.off(traveller.vm) == IN_FLIGHT


def test_a_kill_of_what_is_incoming_says_nothing_and_the_source_runs_on(road: Road, traveller: Traveller) -> None:
    traveller.depart(speed=SLOW)
    road.there.hears(traveller.vm, "started", "migration")
    assert road.there.state(traveller.vm) is VmState.INCOMING
    assert road.there.off(traveller.vm) == IN_FLIGHT
    assert not traveller.arrive()
    assert traveller.lives == 1
    assert road.here.state(traveller.vm) is VmState.RUNNING
    assert road.here.off(traveller.vm) == PROVEN
    assert traveller.lives == 0


def test_after_a_migration_that_was_called_off_the_source_can_prove_the_end(road: Road, traveller: Traveller) -> None:
    traveller.depart(speed=SLOW)
    road.there.hears(traveller.vm, "started", "migration")
    traveller.domain.abortJob()
    assert not traveller.arrive()
    traveller.settle(1)
    assert road.there.off(traveller.vm) == IN_FLIGHT
    assert road.here.off(traveller.vm) == PROVEN
    assert traveller.lives == 0


def test_a_kill_at_the_switch_over_is_in_flight_whoever_survives(road: Road, traveller: Traveller) -> None:
    traveller.depart()
    road.here.hears(traveller.vm, "suspended", "migration")
    assert road.here.off(traveller.vm) == IN_FLIGHT


def test_a_kill_at_the_source_when_the_vm_runs_at_the_target_already_is_in_flight(
    road: Road, traveller: Traveller
) -> None:
    """libvirt calls this destroy() a success, and the source SHUTOFF/DESTROYED."""
    traveller.depart()
    road.there.hears(traveller.vm, "resumed")
    assert road.here.off(traveller.vm) == IN_FLIGHT
    traveller.arrive()
    traveller.settle(1)
    assert road.there.off(traveller.vm) == PROVEN
    assert traveller.lives == 0


def test_a_source_that_crashes_after_the_switch_over_is_in_flight(road: Road, traveller: Traveller) -> None:
    traveller.depart()
    road.here.hears(traveller.vm, "suspended", "migration")
    traveller.crash()
    traveller.arrive()
    assert road.here.off(traveller.vm) == IN_FLIGHT


def test_in_post_copy_no_kill_at_the_source_ends_the_vm(road: Road, traveller: Traveller) -> None:
    traveller.depart(MOVE | libvirt.VIR_MIGRATE_POSTCOPY, SLOW)
    road.there.hears(traveller.vm, "started", "migration")
    traveller.turn_post_copy()
    road.there.hears(traveller.vm, "resumed")
    assert road.here.off(traveller.vm) == IN_FLIGHT
    traveller.arrive()
    assert traveller.lives == 1
    assert road.there.state(traveller.vm) is VmState.RUNNING
    assert road.there.off(traveller.vm) == IN_FLIGHT  # its memory was in two places, and one host cannot vouch for both
    traveller.settle(0)


@pytest.mark.parametrize("p2p", (False, True), ids=("direct", "p2p"))
@pytest.mark.parametrize("event", ("started", "suspended", "resumed"))
def test_a_source_whose_libvirt_dies_under_way_never_says_off_of_a_vm_that_lives(
    road: Road, traveller: Traveller, event: str, p2p: bool
) -> None:
    traveller.depart(speed=SLOW if event == "started" else 0, p2p=p2p)
    (road.here if event == "suspended" else road.there).hears(
        traveller.vm, event, "" if event == "resumed" else "migration"
    )
    road.source.restart_libvirtd()
    seen = road.here.off(traveller.vm)
    traveller.arrive()
    if event == "resumed":
        assert seen == IN_FLIGHT
        traveller.settle(1)
    assert seen in (PROVEN, IN_FLIGHT)
    if seen == PROVEN:
        traveller.settle(0)


@pytest.mark.parametrize("moment", (-0.01, 0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8))
def test_whenever_the_source_kills_off_is_never_said_of_a_vm_that_lives(
    road: Road, traveller: Traveller, moment: float
) -> None:
    departure = threading.Timer(max(0.0, -moment), traveller.depart)
    departure.start()
    time.sleep(max(0.0, moment))
    seen = road.here.off(traveller.vm)
    departure.join()
    arrived = traveller.arrive()
    assert seen in (PROVEN, IN_FLIGHT)
    if seen == PROVEN:
        assert not arrived
        traveller.settle(0)


@pytest.mark.parametrize("moment", (0.3, 0.5, 0.6, 0.7, 0.9))
def test_whenever_the_target_kills_off_is_never_said_of_a_vm_that_lives(
    road: Road, traveller: Traveller, moment: float
) -> None:
    traveller.depart()
    time.sleep(moment)
    seen = road.there.off(traveller.vm)
    arrived = traveller.arrive()
    assert seen in (PROVEN, IN_FLIGHT)
    if seen == PROVEN:
        traveller.settle(0)
    elif not arrived:
        assert road.here.off(traveller.vm) in (PROVEN, IN_FLIGHT)
        traveller.settle(0)
