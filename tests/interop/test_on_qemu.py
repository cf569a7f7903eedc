"""Real QEMU machines under a real libvirtd: every pair of programs ends, starts and reboots them; the kernel agrees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.interop.programs import Make, Plan, Site, Transport, both
from tests.libvirtd import Libvirtd, guest_xml

ON, OFF = (0, "Status: ON\n"), (2, "Status: OFF\n")
DONE = (0, "")
PAIRS = tuple(itertools.product(Make, Make))


@dataclass(frozen=True)
class Guests:
    """One machine of each kind, for one pair of programs."""

    plain: str
    paused: str
    transient: str
    uuids: dict[str, str]


@contextmanager
def guests(libvirtd: Libvirtd) -> Iterator[Guests]:
    """Three machines that run, one of them paused, one transient; gone with the context."""
    names = [f"{kind}-{uuid4().hex[:8]}" for kind in ("plain", "paused", "transient")]
    uuids = {name: str(uuid4()) for name in names}
    conn = libvirtd.admin
    plain, paused, transient = names
    try:
        conn.defineXML(guest_xml(plain, uuids[plain])).create()
        standing = conn.defineXML(guest_xml(paused, uuids[paused]))
        standing.create()
        standing.suspend()
        conn.createXML(guest_xml(transient, uuids[transient]))
        yield Guests(plain, paused, transient, uuids)
    finally:
        for vm in uuids.values():
            libvirtd.discard(vm)


def process_of(vm: str) -> list[int]:
    """The processes that run the machine with this UUID, as the kernel sees them now."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            if b"qemu-system" in command and vm.encode() in command:
                found.append(int(entry.name))
    return found


def play(libvirtd: Libvirtd, place: Site, client: Make, machines: Guests) -> None:
    def act(action: str, target: str) -> tuple[int, str]:
        return place.act(client, action, target).told

    plain, vm = machines.plain, machines.uuids[machines.plain]
    assert act("status", plain) == ON
    assert plain in place.ask(client, "-o", "list").out
    assert act("on", plain) == DONE
    first = process_of(vm)
    assert len(first) == 1
    assert act("off", plain) == DONE
    assert process_of(vm) == []
    assert act("status", plain) == OFF
    assert act("on", plain) == DONE
    assert act("status", vm) == ON
    assert process_of(vm) not in ([], first)
    second = process_of(vm)
    assert act("reboot", vm) == DONE
    assert act("status", plain) == ON
    assert process_of(vm) not in ([], second)
    assert act("off", vm) == DONE
    assert act("off", vm) == DONE
    assert act("reboot", vm) == DONE
    assert act("status", plain) == OFF
    for name in (machines.paused, machines.transient):
        assert act("status", name) == ON
        assert act("off", name) == DONE
        assert process_of(machines.uuids[name]) == []
        assert act("status", name) == OFF


def test_every_pair_of_programs_fences_real_machines(tmp_path: Path, libvirtd: Libvirtd) -> None:
    def play_all(pair: tuple[Make, Make], place: Site) -> None:
        with guests(libvirtd) as machines:
            play(libvirtd, place, pair[0], machines)

    with both(Plan((libvirtd.uri,)), tmp_path / "site") as sites, ThreadPoolExecutor(len(PAIRS)) as pool:
        list(pool.map(lambda pair: play_all(pair, sites[pair[1]]), PAIRS))


def test_real_machines_are_fenced_by_multicast_too(tmp_path: Path, libvirtd: Libvirtd) -> None:
    plan = Plan((libvirtd.uri,), Transport.MULTICAST)

    def play_each(place: Site) -> None:
        with guests(libvirtd) as machines:
            for client in Make:
                assert place.act(client, "off", machines.plain).told == DONE
                assert process_of(machines.uuids[machines.plain]) == []
                assert place.act(client, "on", machines.plain).told == DONE
                assert place.act(client, "status", machines.plain).told == ON

    with both(plan, tmp_path / "site") as sites, ThreadPoolExecutor(2) as pool:
        list(pool.map(play_each, sites.values()))
