"""Real QEMUs that die slowly, late, or not at all; and what the driver may say of each."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.process_table import read_qemu
from fencebus_schemas.model import Proof, Uuid, VmState
from tests.components import require_program
from tests.elapsed import Stopwatch
from tests.held_disk import HeldDisk
from tests.hypervisors import LibvirtWorld, allow, eventually, fresh_name, soon
from tests.libvirtd import Libvirtd
from tests.server_process import freeze

DISK = """\
<disk type='{kind}' device='disk'><driver name='qemu' type='raw' cache='none' io='{io}'/><source {attribute}='{path}'/>
<target dev='hda' bus='ide'/></disk>
"""


@pytest.fixture
def held_disk(libvirtd: Libvirtd, tmp_path: Path) -> Iterator[HeldDisk]:
    """A disk on a FUSE file system that can hold a write."""
    with HeldDisk(tmp_path, libvirtd.namespace) as disk:
        yield disk


@pytest.fixture
def held_device(libvirtd: Libvirtd, held_disk: HeldDisk) -> Iterator[str]:
    """The same as a block device, so that a request can be under way without a thread that waits for it."""
    inside = [str(require_program("nsenter", "util-linux")), "-t", str(libvirtd.namespace), "-m"]
    losetup = str(require_program("losetup", "mount"))
    argv = [*inside, losetup, "--find", "--show", str(held_disk.path)]
    device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    yield device
    subprocess.run([losetup, "--detach", device], check=True)


async def start(qemu: LibvirtWorld, libvirtd: Libvirtd, devices: str) -> tuple[Uuid, str]:
    """A running guest with these devices."""
    name = fresh_name()
    vm = Uuid(await asyncio.to_thread(libvirtd.run, name, devices))
    qemu.made.append(vm)
    return vm, name


async def test_off_is_proven_long_before_libvirt_says_so(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    vm = await qemu.add(fresh_name())
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(6):
        watch = Stopwatch()
        seen = await qemu.hypervisor.power_off(vm, soon(), allow)
        ours.append(watch.seconds * 1000)
        assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)
        await qemu.hypervisor.power_on(vm, soon(), allow)
    domain = libvirtd.admin.lookupByUUIDString(vm)
    for _ in range(3):
        watch = Stopwatch()
        await asyncio.to_thread(domain.destroy)
        theirs.append(watch.seconds * 1000)
        await asyncio.to_thread(domain.create)
    print(
        f"\noff: min {min(ours):.1f}, median {statistics.median(ours):.1f}, max {max(ours):.1f} ms; "
        f"destroy(): median {statistics.median(theirs):.1f} ms"
    )
    assert statistics.median(ours) < statistics.median(theirs)


async def test_a_stopped_qemu_is_off_once_libvirt_has_lost_patience_and_status_answers_meanwhile(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    freeze(libvirtd.qemu_pid(name))
    watch = Stopwatch()
    off = asyncio.create_task(qemu.hypervisor.power_off(vm, soon(25), allow))
    await asyncio.sleep(1)
    record = await qemu.hypervisor.find(name, soon(3))
    assert record is not None
    assert record.state is VmState.RUNNING
    assert vm in {one.uuid for one in await qemu.hypervisor.list(soon(3))}
    seen = await off
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)
    assert watch.seconds > 8
    assert watch.undisturbed < 13


async def test_a_qemu_stuck_in_a_write_is_never_off_before_the_kernel_says_so(
    qemu: LibvirtWorld, libvirtd: Libvirtd, held_disk: HeldDisk
) -> None:
    vm, name = await start(
        qemu, libvirtd, DISK.format(kind="file", io="threads", attribute="file", path=held_disk.path)
    )
    pid = libvirtd.qemu_pid(name)
    await asyncio.to_thread(held_disk.hold)
    seen = await qemu.hypervisor.power_off(vm, soon(12), allow)  # libvirt sends its SIGKILL after 10 s
    assert (seen.state, seen.proof) == (VmState.RUNNING, Proof.NONE)
    assert "alive" in seen.detail
    with pytest.raises(HypervisorError):
        await qemu.hypervisor.power_on(vm, soon(0.5), allow)
    second = asyncio.create_task(qemu.hypervisor.power_off(vm, soon(), allow))
    await asyncio.sleep(0.5)
    assert not second.done()
    assert read_qemu(pid) is not None
    held_disk.release()
    off = await second
    assert (off.state, off.proof) == (VmState.OFF, Proof.PROCESS_EXIT)


async def test_a_process_that_libvirt_has_given_up_is_still_a_claim(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    pid = libvirtd.qemu_pid(name)
    await asyncio.to_thread(libvirtd.lose, name)
    record = await qemu.hypervisor.find(name, soon())
    assert record is not None
    assert record.state is VmState.RUNNING
    seen = await qemu.hypervisor.power_off(vm, soon(1), allow)
    assert (seen.state, seen.proof) == (VmState.RUNNING, Proof.NONE)
    assert "given it up" in seen.detail
    with pytest.raises(HypervisorError, match="is alive"):
        await qemu.hypervisor.power_on(vm, soon(0.5), allow)
    os.kill(pid, signal.SIGKILL)
    assert (await qemu.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_a_driver_that_starts_later_finds_the_process_that_libvirt_has_given_up(libvirtd: Libvirtd) -> None:
    from tests import hypervisors

    name = fresh_name()
    vm = Uuid(await asyncio.to_thread(libvirtd.run, name))
    pid = libvirtd.qemu_pid(name)
    await asyncio.to_thread(libvirtd.lose, name)
    async with hypervisors.qemu_world(libvirtd) as late:
        record = await late.hypervisor.find(vm, soon())
        assert record is not None
        assert record.state is VmState.RUNNING
        with pytest.raises(HypervisorError, match="is alive"):
            await late.hypervisor.power_on(vm, soon(), allow)
        os.kill(pid, signal.SIGKILL)
        assert (await late.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF
    libvirtd.discard(vm)


async def test_a_killed_io_uring_guest_is_off_only_when_its_last_write_has_ended(
    qemu: LibvirtWorld, libvirtd: Libvirtd, held_disk: HeldDisk, held_device: str
) -> None:
    devices = DISK.format(kind="block", io="io_uring", attribute="dev", path=held_device)
    vm, name = await start(qemu, libvirtd, devices)
    pid = libvirtd.qemu_pid(name)
    await asyncio.to_thread(held_disk.hold)
    off = asyncio.create_task(qemu.hypervisor.power_off(vm, soon(), allow))
    await asyncio.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: read_qemu(pid) is None)
    await asyncio.sleep(1)
    assert not off.done()  # the process has gone, its write has not
    held_disk.release()
    seen = await off
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)


async def test_an_external_kill_shows_at_once(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    pid = libvirtd.qemu_pid(name)
    await eventually(lambda: bool(qemu.hypervisor._watch.alive(vm)))
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not qemu.hypervisor._watch.alive(vm))  # the kernel's word has come
    record = await qemu.hypervisor.find(vm, soon())
    assert record is not None
    assert record.state is VmState.OFF
    seen = await qemu.hypervisor.power_off(vm, soon(), allow)
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)


async def test_a_save_that_is_overtaken_by_off_leaves_no_image(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    vm = await qemu.add(fresh_name())
    domain = libvirtd.admin.lookupByUUIDString(vm)
    saving = asyncio.create_task(asyncio.to_thread(domain.managedSave))
    await asyncio.sleep(0.05)
    seen = await qemu.hypervisor.power_off(vm, soon(), allow)
    await asyncio.gather(saving, return_exceptions=True)
    if seen.state is VmState.SAVED:  # the save came first after all, and that is no success: an off may be repeated
        assert domain.hasManagedSaveImage()
        seen = await qemu.hypervisor.power_off(vm, soon(), allow)
    assert seen.state is VmState.OFF
    assert not domain.hasManagedSaveImage()
    record = await qemu.hypervisor.find(vm, soon())
    assert record is not None
    assert record.state is VmState.OFF
