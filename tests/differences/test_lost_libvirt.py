"""libvirt goes away under the daemons: C's hangs, ours fails each request at its deadline, and both heal."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from tests.interop.programs import Make, Plan, both
from tests.interop.worlds import ALPHA, write_world
from tests.libvirtd import Libvirtd

ON = (0, "Status: ON\n")
C, OURS = Make.C, Make.OURS


def test_without_libvirt_a_request_fails_at_its_deadline_and_all_is_well_afterwards(
    tmp_path: Path, libvirtd: Libvirtd
) -> None:
    name = f"lost-{uuid4().hex[:8]}"
    vm = libvirtd.run(name)
    with both(Plan((libvirtd.uri,), timeout=2), tmp_path / "site") as sites:
        assert all(place.act(C, "status", name).told == ON for place in sites.values())
        libvirtd.kill()
        try:
            with ThreadPoolExecutor(2) as pool:
                off = ("-t", "3", "-o", "off", "-n", name)
                asked = {make: pool.submit(place.ask, C, *off) for make, place in sites.items()}
            assert [asked[make].result().status for make in (C, OURS)] == [255, 1]
            # C's client lost patience; its daemon has none, and would end the machine whenever libvirt comes back.
            assert asked[C].result().seconds > 2.9
            assert asked[OURS].result().seconds > 1.9
            assert asked[OURS].result().undisturbed < 3
            assert sites[OURS].ask(C, "-o", "monitor").status == 1
            assert "hypervisor" in sites[OURS].log
        finally:
            libvirtd.start()
        late = time.monotonic() + 30
        while libvirtd.admin.lookupByUUIDString(vm).isActive() and time.monotonic() < late:
            time.sleep(0.05)
        # Three seconds late C's daemon carries out what nobody waits for any more (S12).
        assert not libvirtd.admin.lookupByUUIDString(vm).isActive()
        libvirtd.admin.lookupByUUIDString(vm).create()
        # By itself, and within the pauses between its attempts to connect.
        while sites[OURS].ask(C, "-o", "monitor").status != 0 and time.monotonic() < late + 10:
            time.sleep(0.05)
        assert sites[OURS].act(C, "status", name).told == ON
        assert sites[OURS].act(C, "off", name).status == 0
    libvirtd.discard(vm)


def test_a_daemon_without_libvirt_can_be_ended(tmp_path: Path, libvirtd: Libvirtd) -> None:
    with both(Plan((libvirtd.uri,), timeout=5), tmp_path / "site") as sites:
        assert all(place.ask(C, "-o", "monitor").status == 0 for place in sites.values())
        libvirtd.kill()
        try:
            with ThreadPoolExecutor(2) as pool:
                for place in sites.values():
                    pool.submit(place.ask, C, "-t", "1", "-n", "nobody", "-o", "off")
                time.sleep(0.5)
                for place in sites.values():
                    place.daemon.send(signal.SIGTERM)
            assert sites[OURS].daemon.wait(30) == 0
            assert sites[C].daemon.running
            sites[C].daemon.send(signal.SIGKILL)
        finally:
            libvirtd.start()


def test_monitor_asks_libvirt(tmp_path: Path) -> None:
    # C's daemon does not start without libvirt, and says "well" whatever becomes of it later.
    nowhere = f"qemu+unix:///system?socket={tmp_path}/nowhere"
    world = write_world(tmp_path / "world.xml", (ALPHA,))
    with both(Plan((world, nowhere), timeout=1), tmp_path / "site") as sites:
        assert sites[C].ask(C, "-o", "monitor").status == 0
        assert sites[OURS].ask(C, "-o", "monitor").status == 1
