"""No look denies a VM before the subscribers have heard of its end, however the VM was ended (S2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.hypervisor import DomainEvent, HypervisorUnreachable
from fencebus_agent.libvirt_driver import lookout, sighting
from fencebus_agent.libvirt_driver.processes import ProcessFinder
from fencebus_agent.libvirt_driver.sighting import Glance
from fencebus_agent.lives import PastLives
from fencebus_agent.roster import Remembered
from fencebus_schemas.model import Uuid, VmState
from tests import hypervisors
from tests.hypervisors import LibvirtWorld, eventually, fresh_name, soon
from tests.libvirtd import Libvirtd

ROUNDS = {"test-driver": 1000, "qemu": 12}


class Heard:
    """How often each kind of event was told of a VM."""

    def __init__(self, world: LibvirtWorld, vm: Uuid) -> None:
        self._vm, self.kinds = vm, list[str]()
        world.hypervisor.subscribe(self._hear)

    def _hear(self, event: DomainEvent) -> None:
        if event.vm == self._vm:
            self.kinds.append(event.kind)

    def count(self, kind: str) -> int:
        """So often."""
        return self.kinds.count(kind)


async def live_and_die(world: LibvirtWorld, rounds: int) -> None:
    """A VM is started and destroyed behind the driver's back, and looked at directly after each."""
    vm = await world.add(fresh_name(), VmState.OFF)
    heard, domain = Heard(world, vm), world.admin.lookupByUUIDString(vm)
    for number in range(1, rounds + 1):
        await asyncio.to_thread(domain.create)
        assert (await world.hypervisor.look(vm, soon())).state is VmState.RUNNING
        await asyncio.to_thread(domain.destroy)
        assert (await world.hypervisor.look(vm, soon())).denies
        assert (heard.count("started"), heard.count("stopped")) == (number, number)


async def test_no_look_at_the_test_driver_overtakes_the_event(tmp_path: Path) -> None:
    async with hypervisors.driver_world(tmp_path) as world:
        await live_and_die(world, ROUNDS["test-driver"])


async def test_no_look_at_qemu_overtakes_the_event(qemu: LibvirtWorld) -> None:
    await live_and_die(qemu, ROUNDS["qemu"])


async def test_a_look_that_comes_with_the_end_waits_for_its_event(qemu: LibvirtWorld) -> None:
    """libvirt lets go of the domain before it tells of the end: a thousand looks fall into that moment."""
    vm = await qemu.add(fresh_name())
    heard, domain = Heard(qemu, vm), qemu.admin.lookupByUUIDString(vm)
    end = asyncio.create_task(asyncio.to_thread(domain.destroy))
    told = heard.count("stopped")
    while not (await qemu.hypervisor.look(vm, soon())).denies:
        assert told == 0  # whoever looks after the event sees the end
        told = heard.count("stopped")
    assert heard.count("stopped") == 1
    await end


async def test_a_life_that_ends_during_the_look_is_not_claimed_as_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What libvirt said of it is old by then, and its mark is nobody's: others would have it killed once more (S3)."""
    async with hypervisors.driver_world(tmp_path, marks=True) as world:
        vm = await world.add(fresh_name())
        await eventually(lambda: bool(world.hypervisor._lookout._lives.here(vm)))
        glance = sighting.glance

        def then_it_ends(
            conn: libvirt.virConnect, vm: Uuid, finder: ProcessFinder | None, *, arriving: bool, marked: bool
        ) -> Glance:
            seen = glance(conn, vm, finder, arriving=arriving, marked=marked)
            if not seen.rests:
                world.admin.lookupByUUIDString(vm).destroy()
            return seen

        monkeypatch.setattr(lookout, "glance", then_it_ends)
        seen = await world.hypervisor.look(vm, soon())
        assert (seen.state, seen.life, len(seen.ended)) == (VmState.OFF, None, 1)


async def test_an_end_that_is_never_told_makes_one_look_unknown_and_is_told_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "PATIENCE", 0.05)
    async with hypervisors.driver_world(tmp_path) as world:
        vm = await world.add(fresh_name())
        heard = Heard(world, vm)
        await eventually(lambda: world.hypervisor._lookout._standing.get(vm) is True)
        monkeypatch.setattr(world.hypervisor._lookout, "heard", lambda *_words: None)
        await asyncio.to_thread(world.admin.lookupByUUIDString(vm).destroy)
        seen = await world.hypervisor.look(vm, soon())
        assert (seen.state, seen.denies) == (VmState.UNKNOWN, False)
        assert heard.count("stopped") == 2
        assert (await world.hypervisor.look(vm, soon())).denies


async def test_what_could_not_be_heard_between_two_looks_is_told_as_something_that_happened(tmp_path: Path) -> None:
    """A VM may have come and gone while the connection for events was broken: no guard on it stood unbroken (S2)."""
    async with hypervisors.driver_world(tmp_path) as world:
        vm, unseen = Uuid("00000000-0000-4000-8000-00000000c0de"), await world.add(fresh_name())
        heard, others = Heard(world, vm), Heard(world, unseen)
        assert (await world.hypervisor.look(vm, soon())).denies
        for losses in (1, 2):
            world.hypervisor.link._broken.set()
            await eventually(lambda: not world.hypervisor.link._broken.is_set())
            assert (await world.hypervisor.look(vm, soon())).denies
            assert heard.count("missed") == losses
        assert others.count("missed") == 0


async def test_a_look_at_a_libvirt_that_hangs_ends_by_its_deadline(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    vm = await qemu.add(fresh_name())
    with libvirtd.frozen(), pytest.raises(HypervisorUnreachable):
        await qemu.hypervisor.look(vm, soon(0.5))


async def test_without_marks_no_domain_is_touched(qemu: LibvirtWorld) -> None:
    vm = await qemu.add(fresh_name())
    await qemu.hypervisor.look(vm, soon())
    await asyncio.sleep(0.3)
    assert "urn:fencebus" not in qemu.admin.lookupByUUIDString(vm).XMLDesc()


@pytest.fixture
async def marking(libvirtd: Libvirtd) -> AsyncIterator[LibvirtWorld]:
    """Our driver on real QEMU, as on a host among others."""
    async with hypervisors.qemu_world(libvirtd, marks=True) as world:
        yield world


async def mark_of(world: LibvirtWorld, vm: Uuid, other_than: str = "") -> str:
    """The mark of the life that is there, once it is not its process'."""
    for _ in range(1500):
        life = (await world.hypervisor.look(vm, soon())).life
        if life is not None and ":" not in life.mark and life.mark != other_than:
            return life.mark
        await asyncio.sleep(0.02)
    raise AssertionError("its life has no mark")


async def test_a_managed_save_keeps_the_mark_and_the_restored_life_goes_on_with_it(marking: LibvirtWorld) -> None:
    vm = await marking.add(fresh_name())
    domain, mark = marking.admin.lookupByUUIDString(vm), await mark_of(marking, vm)
    await asyncio.to_thread(domain.managedSave)
    saved = await marking.hypervisor.look(vm, soon())
    assert (saved.state, saved.life and saved.life.mark, saved.ended) == (VmState.SAVED, mark, ())
    await asyncio.to_thread(domain.create)
    assert await mark_of(marking, vm) == mark
    await asyncio.to_thread(domain.managedSave)
    await asyncio.to_thread(domain.createWithFlags, libvirt.VIR_DOMAIN_START_FORCE_BOOT)
    assert await mark_of(marking, vm, mark) != mark


async def test_an_end_that_libvirt_reports_plainly_is_remembered(marking: LibvirtWorld) -> None:
    vm = await marking.add(fresh_name())
    mark = await mark_of(marking, vm)
    await asyncio.to_thread(marking.admin.lookupByUUIDString(vm).destroy)
    await eventually(lambda: marking.hypervisor.remembered.lives.get(vm) is not None)
    assert (await marking.hypervisor.look(vm, soon())).ended == (mark,)


async def test_what_the_daemon_before_saw_end_and_leave_is_told_again(tmp_path: Path) -> None:
    past = PastLives(("m1",), ("m2",))
    async with hypervisors.driver_world(tmp_path, marks=True) as world:
        vm = await world.add(fresh_name(), VmState.OFF)
        world.hypervisor.remember(Remembered(lives={vm: past}))
        seen = await world.hypervisor.look(vm, soon())
        assert (seen.ended, seen.left) == (past.ended, past.left)
        assert world.hypervisor.remembered.lives == {vm: past}


async def test_the_end_of_a_paused_vm_that_was_not_ours_says_nothing(marking: LibvirtWorld) -> None:
    vm = await marking.add(fresh_name())
    await mark_of(marking, vm)
    await asyncio.to_thread(marking.admin.lookupByUUIDString(vm).suspend)
    await asyncio.to_thread(marking.admin.lookupByUUIDString(vm).destroy)
    await asyncio.sleep(0.3)
    seen = await marking.hypervisor.look(vm, soon())
    assert (seen.denies, seen.ended) == (True, ())


async def test_the_next_daemon_recognises_a_running_life(libvirtd: Libvirtd) -> None:
    async with hypervisors.qemu_world(libvirtd, marks=True) as first:
        vm = await first.add(fresh_name())
        mark = await mark_of(first, vm)
        first.made.clear()
    async with hypervisors.qemu_world(libvirtd, marks=True) as second:
        second.made.append(vm)
        assert await mark_of(second, vm) == mark
        await asyncio.sleep(0.2)
        assert await mark_of(second, vm) == mark


async def test_a_mark_that_came_with_a_copied_definition_is_not_the_next_lifes(marking: LibvirtWorld) -> None:
    """virsh dumpxml | virsh define."""
    vm = await marking.add(fresh_name())
    mark = await mark_of(marking, vm)
    domain = marking.admin.lookupByUUIDString(vm)
    await asyncio.to_thread(marking.admin.defineXML, domain.XMLDesc())
    await asyncio.to_thread(domain.destroy)
    await asyncio.to_thread(domain.create)
    assert await mark_of(marking, vm, mark) != mark
    assert (await marking.hypervisor.look(vm, soon())).ended == (mark,)
