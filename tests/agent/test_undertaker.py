"""Requests that meet each other, or a younger life, while a VM is being ended and buried."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from fencebus_agent import death
from fencebus_agent.hypervisor import HypervisorError, HypervisorUnreachable
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_agent.process_table import scan
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life, Proof, Uuid, VmState
from tests.hypervisors import (
    HOST,
    INCARNATION,
    LibvirtWorld,
    allow,
    driver_world,
    eventually,
    fresh_name,
    serving,
    soon,
)
from tests.libvirtd import Libvirtd, guest_xml

SHARED = """\
<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none' io='io_uring'/><source file='{path}'/>
<target dev='hda' bus='ide'/><shareable/></disk>
"""


def processes(vm: Uuid) -> set[int]:
    return {qemu.pid for qemu in scan() if qemu.vm == vm}


async def test_a_life_that_began_while_the_last_one_was_buried_is_not_taken_for_dead(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    vm = await qemu.add(fresh_name())
    domain = libvirtd.admin.lookupByUUIDString(vm)
    for _ in range(3):
        assert (await qemu.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF
        start = asyncio.create_task(asyncio.to_thread(domain.create))
        await eventually(lambda: bool(processes(vm)))
        alive = processes(vm)
        seen = await qemu.hypervisor.power_off(vm, soon(), allow)
        assert seen.state is not VmState.OFF or not alive & processes(vm)
        await asyncio.gather(start, return_exceptions=True)
        if not domain.isActive():
            await asyncio.to_thread(domain.create)


async def test_a_vm_that_libvirt_starts_while_a_search_finds_its_process_can_be_ended_afterwards(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    name = fresh_name()
    vm = await qemu.add(name, transient=True)
    await asyncio.to_thread(libvirtd.lose, name)
    old = processes(vm)
    waiting = asyncio.create_task(qemu.hypervisor.power_off(vm, soon(25), allow))
    await asyncio.sleep(0.5)
    # As an administrator may do: libvirt does not know better.
    second = await asyncio.to_thread(libvirtd.admin.createXML, guest_xml(name, vm))
    assert second.ID() > 0  # it runs, or ran: the search may have ended it by now
    assert processes(vm) >= old
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    assert (await waiting).state is VmState.OFF
    assert not processes(vm)


async def test_a_lock_that_another_life_holds_does_not_keep_that_life_from_being_ended(
    qemu: LibvirtWorld, libvirtd: Libvirtd, tmp_path: Path
) -> None:
    image = tmp_path / "shared.raw"
    image.write_bytes(bytes(1 << 20))
    disk = SHARED.format(path=image)
    neighbour = Uuid(await asyncio.to_thread(libvirtd.run, fresh_name(), disk))
    vm = Uuid(await asyncio.to_thread(libvirtd.run, fresh_name(), disk))
    qemu.made += [neighbour, vm]
    seen = await qemu.hypervisor.power_off(vm, soon(2), allow)
    assert (seen.state, seen.proof) == (VmState.RUNNING, Proof.NONE)  # whose lock it is cannot be seen
    await asyncio.to_thread(libvirtd.admin.lookupByUUIDString(vm).create)
    assert processes(vm)
    await qemu.hypervisor.power_off(vm, soon(2), allow)
    await eventually(lambda: not processes(vm))  # not proven, but done
    os.kill(processes(neighbour).pop(), signal.SIGKILL)
    assert (await qemu.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_s4_a_write_that_was_waited_for_in_vain_is_not_forgotten_by_the_next_daemon_nor_kept_for_ever(
    qemu: LibvirtWorld, libvirtd: Libvirtd, tmp_path: Path
) -> None:
    image = tmp_path / "shared.raw"
    image.write_bytes(bytes(1 << 20))
    disk = SHARED.format(path=image)
    neighbour = Uuid(await asyncio.to_thread(libvirtd.run, fresh_name(), disk))
    vm = Uuid(await asyncio.to_thread(libvirtd.run, fresh_name(), disk))
    qemu.made += [neighbour, vm]
    seen = await qemu.hypervisor.power_off(vm, soon(2), allow)
    assert seen.state is VmState.RUNNING
    await eventually(lambda: not processes(vm))
    again = LibvirtHypervisor(libvirtd.uri, HOST, INCARNATION)
    again.remember(qemu.hypervisor.remembered)
    async with serving(again):
        seen = await again.power_off(vm, soon(2), allow)
        assert (seen.state is VmState.OFF, seen.proof) == (False, Proof.NONE)
        assert "io_uring" in seen.detail
    os.kill(processes(neighbour).pop(), signal.SIGKILL)
    await eventually(lambda: not qemu.hypervisor.remembered.lingering)
    assert (await qemu.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_a_vm_that_died_a_moment_before_the_kill_is_off_and_stays_provable(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    with libvirtd.frozen():  # so that it has not noticed
        os.kill(libvirtd.qemu_pid(name), signal.SIGKILL)
        off = asyncio.create_task(qemu.hypervisor.power_off(vm, soon(), allow))
        await asyncio.sleep(0.3)
    assert (await off).state is VmState.OFF
    assert (await qemu.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_a_defect_in_one_attempt_is_a_failure_of_that_one_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_life: Life | None) -> None:
        raise ZeroDivisionError

    async with driver_world(tmp_path) as world:
        vm = await world.add(fresh_name())
        with pytest.raises(HypervisorError, match="defect"):
            await world.hypervisor.power_off(vm, soon(2), broken)
        assert "ZeroDivisionError" in caplog.text
        assert (await world.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_s14_a_kill_after_which_no_events_could_be_heard_may_have_met_a_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That no event spoke of a migration is known only of those that were heard (design 6.3)."""

    async def unheard(_deadline: Deadline) -> None:
        raise HypervisorUnreachable("test", "the connection for events broke")

    monkeypatch.setattr(death, "HANDOVER", -1.0)  # the kill took long enough for one
    async with driver_world(tmp_path) as world:
        vms = [await world.add(fresh_name()) for _ in range(2)]
        assert (await world.hypervisor.power_off(vms[0], soon(), allow)).state is VmState.OFF
        monkeypatch.setattr(world.hypervisor.link, "drain_events", unheard)
        seen = await world.hypervisor.power_off(vms[1], soon(), allow)
        assert (seen.state, seen.proof, seen.migration_in_flight) == (VmState.UNKNOWN, Proof.NONE, True)
