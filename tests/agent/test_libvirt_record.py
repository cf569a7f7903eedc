"""What the libvirt driver knows beside what libvirt says: who left, who was ended before, what may still write."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_agent.libvirt_driver.events import read_lifecycle
from fencebus_agent.roster import EndedDomain, Remembered
from fencebus_schemas.deadline import boottime
from fencebus_schemas.model import Life, Proof, Uuid, VmState
from tests import hypervisors
from tests.components import require_program
from tests.held_disk import boot_image
from tests.hypervisors import HOST, INCARNATION, TEST_GUEST, LibvirtWorld, allow, eventually, fresh_name, serving, soon
from tests.libvirtd import Libvirtd
from tests.server_process import ServerProcess

VM = Uuid("00000000-0000-0000-0000-0000000000aa")
NBD = """\
<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='nbd'><host transport='unix' socket='{socket}'/></source><target dev='hda' bus='ide'/></disk>
"""
MIGRATED_AWAY = read_lifecycle(libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LibvirtWorld]:
    """The test driver."""
    async with hypervisors.driver_world(tmp_path) as opened:
        yield opened


async def state_of(world: LibvirtWorld, vm: Uuid) -> VmState:
    record = await world.hypervisor.find(vm, soon())
    assert record is not None
    return record.state


async def uuid_of(world: LibvirtWorld, name: str) -> Uuid:
    record = await world.hypervisor.find(name, soon())
    assert record is not None
    return record.uuid


async def test_a_vm_that_left_is_unknown_here_until_it_starts_again(world: LibvirtWorld) -> None:
    vm = await world.add(fresh_name(), VmState.OFF)
    world.hypervisor._heard(vm, MIGRATED_AWAY, 1.0, 1)
    assert await state_of(world, vm) is VmState.UNKNOWN
    seen = await world.hypervisor.power_off(vm, soon(), allow)
    assert (seen.state, seen.proof, seen.migration_in_flight) == (VmState.UNKNOWN, Proof.NONE, True)
    assert vm in world.hypervisor.remembered.left
    with pytest.raises(HypervisorError, match="migrated away"):  # S15: a second copy ruins disks
        await world.hypervisor.power_on(vm, soon(), allow)
    await asyncio.to_thread(world.admin.lookupByUUIDString(vm).create)
    await eventually(lambda: not world.hypervisor.remembered.left)
    assert (await world.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF
    assert world.hypervisor.remembered == Remembered()


async def test_a_vm_that_left_is_unknown_to_the_next_daemon_too(tmp_path: Path) -> None:
    file = tmp_path / "world.xml"
    file.write_text(f"<node>{TEST_GUEST.format(name='vm1', vm=VM, mac='52:54:00:00:00:01')}</node>")
    hypervisor = LibvirtHypervisor(f"test://{file}", HOST, INCARNATION)
    async with serving(hypervisor):
        await hypervisor.power_off(VM, soon(), allow)
        hypervisor.remember(Remembered(left=frozenset({VM})))
        assert (await hypervisor.power_off(VM, soon(), allow)).migration_in_flight


async def test_a_life_is_no_younger_than_the_report_of_our_own_start(tmp_path: Path) -> None:
    def late_events() -> float:
        return boottime() + (5.0 if threading.current_thread().name == "libvirt-events" else 0.0)

    lives: list[Life | None] = []
    file = tmp_path / "world.xml"
    file.write_text(f"<node>{TEST_GUEST.format(name='vm1', vm=VM, mac='52:54:00:00:00:01')}</node>")
    hypervisor = LibvirtHypervisor(f"test://{file}", HOST, INCARNATION, clock=late_events)
    async with serving(hypervisor):
        await hypervisor.power_off(VM, soon(), allow)
        await hypervisor.power_on(VM, soon(), allow)
        reported = boottime()
        await asyncio.sleep(0.2)  # its event is heard
        await hypervisor.power_off(VM, soon(), lives.append)
    assert [life.began_at < reported for life in lives if life and life.began_at] == [True]


async def test_a_transient_vm_that_the_daemon_before_ended_is_off_and_can_start(world: LibvirtWorld) -> None:
    xml = TEST_GUEST.format(name="gone", vm=VM, mac="52:54:00:00:00:01")
    world.hypervisor.remember(Remembered(ended=(EndedDomain(VM, "gone", xml, 1.0),)))
    record = await world.hypervisor.find("gone", soon())
    assert record is not None
    assert (record.uuid, record.state) == (VM, VmState.OFF)
    assert VM in {one.uuid for one in await world.hypervisor.list(soon())}
    assert (await world.hypervisor.power_off(VM, soon(), allow)).state is VmState.OFF
    assert (await world.hypervisor.power_on(VM, soon(), allow)).state is VmState.RUNNING
    assert await state_of(world, VM) is VmState.RUNNING


async def test_a_vm_that_was_made_anew_with_a_uuid_of_its_own_and_left_is_unknown_not_off(
    world: LibvirtWorld,
) -> None:
    await world.add("web", transient=True)
    assert (await world.hypervisor.power_off(await uuid_of(world, "web"), soon(), allow)).state is VmState.OFF
    again = await world.add("web", transient=True)
    assert await uuid_of(world, "web") == again
    await asyncio.to_thread(world.admin.lookupByUUIDString(again).destroy)  # behind the driver's back
    while await world.hypervisor.find("web", soon()) is not None:  # noqa: ASYNC110 - its event may still be on its way
        await asyncio.sleep(0.02)


async def test_a_life_that_began_while_the_daemon_was_away_wipes_out_the_record_of_an_end(tmp_path: Path) -> None:
    file = tmp_path / "world.xml"
    file.write_text(f"<node>{TEST_GUEST.format(name='vm1', vm=VM, mac='52:54:00:00:00:01')}</node>")
    hypervisor = LibvirtHypervisor(f"test://{file}", HOST, INCARNATION)
    hypervisor.remember(Remembered(ended=(EndedDomain(VM, "vm1", "<domain/>", 1e9),)))
    async with serving(hypervisor):
        assert hypervisor.remembered == Remembered()


async def test_the_label_of_an_ended_transient_vm_still_keeps_strangers_away(world: LibvirtWorld) -> None:
    label = "<metadata><f:cluster xmlns:f='urn:fencebus:domain:1'>alpha</f:cluster></metadata>"
    xml = TEST_GUEST.format(name="labelled", vm=VM, mac="52:54:00:00:00:01").replace("<memory>", f"{label}<memory>")
    await asyncio.to_thread(world.admin.createXML, xml)
    found = await world.hypervisor.find(VM, soon())
    assert found is not None
    assert found.cluster == "alpha"  # also before its event has been followed up
    await world.hypervisor.power_off(VM, soon(), allow)
    await asyncio.sleep(0.2)
    found = await world.hypervisor.find("labelled", soon())
    assert found is not None
    assert (found.state, found.cluster) == (VmState.OFF, "alpha")


async def test_the_record_of_a_transient_end_stands_before_it_is_answered(qemu: LibvirtWorld) -> None:
    name = fresh_name()
    vm = await qemu.add(name, transient=True)
    await qemu.hypervisor.power_off(vm, soon(), allow)
    (ended,) = qemu.hypervisor.remembered.ended
    assert (ended.uuid, ended.name) == (vm, name)
    assert f"<uuid>{vm}</uuid>" in ended.xml


async def test_a_disk_behind_an_nbd_server_cannot_be_proven_unless_the_administrator_says_so(
    qemu: LibvirtWorld, libvirtd: Libvirtd, tmp_path: Path, start_program: Callable[..., ServerProcess]
) -> None:
    socket, image = tmp_path / "nbd", tmp_path / "image"
    image.write_bytes(boot_image())
    server = start_program([require_program("qemu-nbd", "qemu-utils"), "-k", socket, "-f", "raw", "-t", image])
    server.wait_for_file(socket)
    name = fresh_name()
    vm = Uuid(await asyncio.to_thread(libvirtd.run, name, NBD.format(socket=socket)))
    qemu.made.append(vm)
    for _ in range(2):
        seen = await qemu.hypervisor.power_off(vm, soon(), allow)
        assert (seen.state, seen.proof) == (VmState.RUNNING, Proof.NONE)
        assert "NBD server" in seen.detail
        await asyncio.sleep(0.3)
    assert await state_of(qemu, vm) is VmState.UNKNOWN
    await asyncio.to_thread(libvirtd.admin.lookupByUUIDString(vm).create)
    trusting = LibvirtHypervisor(libvirtd.uri, HOST, INCARNATION, check_disks=False)
    async with serving(trusting):
        seen = await trusting.power_off(vm, soon(), allow)
        assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)
