"""Real QEMUs that die at once, late or never, and lives that were saved: what C's daemon calls off, and what ours."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from fencebus_agent.process_table import read_qemu
from tests.components import require_program
from tests.held_disk import HeldDisk
from tests.interop.programs import Make, Plan, both, run
from tests.libvirtd import Libvirtd, guest_xml
from tests.server_process import freeze

ON, OFF, DONE = (0, "Status: ON\n"), (2, "Status: OFF\n"), (0, "")
C, OURS = Make.C, Make.OURS
BOOTED, RESTORED = 1, 3  # libvirt's numbers for why a domain runs
DISK = """\
<disk type='{kind}' device='disk'><driver name='qemu' type='raw' cache='none' io='{io}'/><source {attribute}='{path}'/>
<target dev='hda' bus='ide'/></disk>
"""


@contextmanager
def machines(libvirtd: Libvirtd, *purposes: str, devices: str = "") -> Iterator[dict[str, str]]:
    """A running machine for each purpose, by name; gone with the context."""
    names = {purpose: f"{purpose}-{uuid4().hex[:8]}" for purpose in purposes}
    made = []
    try:
        for name in names.values():
            made.append(str(uuid4()))
            libvirtd.admin.defineXML(guest_xml(name, made[-1], devices)).create()
        yield names
    finally:
        for vm in made:
            libvirtd.discard(vm)


@contextmanager
def held_disk(libvirtd: Libvirtd, folder: Path) -> Iterator[HeldDisk]:
    """A disk on a FUSE file system that can hold a write."""
    folder.mkdir()
    with HeldDisk(folder, libvirtd.namespace) as disk:
        yield disk


@contextmanager
def held_device(libvirtd: Libvirtd, disk: HeldDisk) -> Iterator[str]:
    """The same as a block device: a request can be under way without a thread that waits for it."""
    losetup = str(require_program("losetup", "mount"))
    inside = [str(require_program("nsenter", "util-linux")), "-t", str(libvirtd.namespace), "-m", losetup]
    found = subprocess.run([*inside, "--find", "--show", disk.path], check=True, capture_output=True, text=True)
    try:
        yield found.stdout.strip()
    finally:
        subprocess.run([losetup, "--detach", found.stdout.strip()], check=True)


def test_off_then_status_says_off_and_off_then_on_works_at_once(tmp_path: Path, libvirtd: Libvirtd) -> None:
    seconds = {}
    with both(Plan((libvirtd.uri,)), tmp_path / "site") as sites, machines(libvirtd, "c", "ours") as names:
        for make, name in ((C, names["c"]), (OURS, names["ours"])):
            off = sites[make].act(C, "off", name)
            assert off.told == DONE
            seconds[make] = off.seconds
            assert sites[make].act(C, "status", name).told == OFF
            assert sites[make].act(C, "on", name).told == DONE
            assert sites[make].act(C, "status", name).told == ON
            assert sites[make].act(C, "off", name).told == DONE
            assert sites[make].act(C, "on", name).told == DONE
            assert sites[make].act(C, "status", name).told == ON
    # C's answers when libvirt does, ours when the kernel has let the process go; libvirt is still busy then.
    assert seconds[C] > 0.2


def test_a_process_that_libvirt_has_given_up_is_not_off(tmp_path: Path, libvirtd: Libvirtd) -> None:
    """As libvirt does 80 s after a kill that the kernel cannot finish, for a QEMU that is stuck in its I/O."""
    with both(Plan((libvirtd.uri,), timeout=3), tmp_path / "site") as sites, machines(libvirtd, "lost") as names:
        name = names["lost"]
        assert all(place.act(C, "status", name).told == ON for place in sites.values())
        pid = libvirtd.qemu_pid(name)
        libvirtd.lose(name)
        try:
            assert sites[C].act(C, "off", name).told == DONE
            assert sites[C].act(C, "status", name).told == OFF
            assert read_qemu(pid) is not None
            # After the status, which waits until the daemon has found its way to the new libvirtd.
            assert sites[OURS].act(C, "status", name).told == ON
            assert sites[OURS].act(C, "off", name).status == 1
            assert "alive" in sites[OURS].log
        finally:
            os.kill(pid, signal.SIGKILL)
        assert sites[OURS].act(C, "off", name).told == DONE


def test_a_qemu_that_is_stuck_in_a_write_is_off_when_the_kernel_says_so(tmp_path: Path, libvirtd: Libvirtd) -> None:
    with held_disk(libvirtd, tmp_path / "disk") as disk:
        devices = DISK.format(kind="file", io="threads", attribute="file", path=disk.path)
        plan = Plan((libvirtd.uri,), timeout=3)
        with both(plan, tmp_path / "site") as sites, machines(libvirtd, "stuck", devices=devices) as names:
            pid = libvirtd.qemu_pid(names["stuck"])
            disk.hold()
            try:
                assert sites[OURS].act(C, "off", names["stuck"]).status == 1
                assert read_qemu(pid) is not None
                assert "alive" in sites[OURS].log
            finally:
                disk.release()
            assert sites[OURS].act(C, "off", names["stuck"]).told == DONE
            assert read_qemu(pid) is None


@pytest.mark.timeout(150)
@pytest.mark.skipif("FENCEBUS_LONG" not in os.environ, reason="takes 100 s; FENCEBUS_LONG=1 runs it")
def test_c_says_off_of_a_qemu_that_is_stuck_in_a_write_after_80_seconds(tmp_path: Path, libvirtd: Libvirtd) -> None:
    """The long form of the two tests above: nothing is made up, libvirt gives up by itself."""
    with held_disk(libvirtd, tmp_path / "disk") as disk:
        devices = DISK.format(kind="file", io="threads", attribute="file", path=disk.path)
        plan, pool = Plan((libvirtd.uri,)), ThreadPoolExecutor(1)
        with both(plan, tmp_path / "site") as sites, machines(libvirtd, "stuck", devices=devices) as names, pool:
            pid = libvirtd.qemu_pid(names["stuck"])
            disk.hold()
            try:
                command = sites[C].command(C, "-t", "110", "-o", "off", "-n", names["stuck"])
                c = pool.submit(run, command, limit=120)
                while not c.done():
                    assert sites[OURS].act(C, "off", names["stuck"]).status == 1
                assert c.result().told == DONE
                assert read_qemu(pid) is not None
            finally:
                disk.release()


def test_a_stopped_qemu_is_off_within_the_deadline_and_holds_up_nobody(tmp_path: Path, libvirtd: Libvirtd) -> None:
    purposes = ("stopped-c", "stopped-ours", "other")
    with both(Plan((libvirtd.uri,)), tmp_path / "site") as sites, machines(libvirtd, *purposes) as names:
        for name in (names["stopped-c"], names["stopped-ours"]):
            freeze(libvirtd.qemu_pid(name))
        with ThreadPoolExecutor(2) as pool:
            offs = {
                make: pool.submit(sites[make].act, C, "off", names[f"stopped-{word}"])
                for make, word in ((C, "c"), (OURS, "ours"))
            }
            time.sleep(0.5)
            # C's daemon is in destroy() and hears nobody; ours is not.
            status = ("-t", "1", "-o", "status", "-n", names["other"])
            assert any(sites[C].ask(C, *status).status == 1 for _ in range(5))
            answer = sites[OURS].act(C, "status", names["other"])
            assert answer.told == ON
            assert answer.undisturbed < 1
            assert sites[OURS].act(C, "off", names["other"]).told == DONE
        assert [off.result().told for off in offs.values()] == [DONE, DONE]
        seconds = {make.value: off.result().seconds for make, off in offs.items()}
        # Ten seconds on an idle machine; the promise is the deadline.
        assert all(8 < each < 25 for each in seconds.values()), (seconds, sites[OURS].log)


def test_a_last_write_of_io_uring_is_waited_for(tmp_path: Path, libvirtd: Libvirtd) -> None:
    """A QEMU that ends by SIGKILL, as after ten seconds of patience, is gone before its last write is."""

    def off_while_a_write_is_held(make: Make) -> bool:
        """Whether the daemon called the machine off before the write was let go."""
        with held_disk(libvirtd, tmp_path / f"disk-{make.name}") as disk, held_device(libvirtd, disk) as device:
            devices = DISK.format(kind="block", io="io_uring", attribute="dev", path=device)
            with machines(libvirtd, "uring", devices=devices) as names, ThreadPoolExecutor(1) as pool:
                pid = libvirtd.qemu_pid(names["uring"])
                disk.hold()
                try:
                    off = pool.submit(sites[make].act, C, "off", names["uring"])
                    time.sleep(0.3)
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    sites[make].daemon.wait_until(lambda: read_qemu(pid) is None, what="rid of it")
                    early = bool(wait([off], timeout=10 if make is C else 1.2).done)
                finally:
                    disk.release()
                assert off.result().told == DONE
                return early

    with both(Plan((libvirtd.uri,)), tmp_path / "site") as sites:
        assert off_while_a_write_is_held(C)
        assert not off_while_a_write_is_held(OURS)


def test_a_saved_image_does_not_survive_an_off(tmp_path: Path, libvirtd: Libvirtd) -> None:
    with both(Plan((libvirtd.uri,)), tmp_path / "site") as sites, machines(libvirtd, "c", "ours") as names:
        reasons = {}
        for make, name in ((C, names["c"]), (OURS, names["ours"])):
            domain = libvirtd.admin.lookupByName(name)
            domain.managedSave()
            assert sites[make].act(C, "off", name).told == DONE
            assert bool(domain.hasManagedSaveImage()) == (make is C)
            assert sites[make].act(C, "on", name).told == DONE
            reasons[make] = domain.state()[1]
    # What C's daemon has "fenced" goes on where it stood, with its old memory.
    assert reasons == {C: RESTORED, OURS: BOOTED}


def test_a_reboot_starts_the_machine_as_it_is_defined_now(tmp_path: Path, libvirtd: Libvirtd) -> None:
    with both(Plan((libvirtd.uri,)), tmp_path / "site") as sites, machines(libvirtd, "c", "ours") as names:
        titled = {}
        for make, name in ((C, names["c"]), (OURS, names["ours"])):
            vm = libvirtd.admin.lookupByName(name).UUIDString()
            libvirtd.admin.defineXML(guest_xml(name, vm, top="<title>defined anew</title>"))
            assert sites[make].act(C, "reboot", name).told == DONE
            titled[make] = "defined anew" in libvirtd.admin.lookupByUUIDString(vm).XMLDesc()
    # C's daemon starts it from what it ran with, without the passwords that libvirt hides in that.
    assert titled == {C: False, OURS: True}
