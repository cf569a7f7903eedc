"""libvirtd is killed, restarted and frozen under the driver: calls end at their deadline, and all is well
afterwards.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from fencebus_agent.hypervisor import DomainEvent, HypervisorUnreachable
from fencebus_schemas.model import Proof, VmState
from tests.elapsed import Stopwatch
from tests.hypervisors import LibvirtWorld, allow, eventually, fresh_name, soon
from tests.libvirtd import Libvirtd
from tests.server_process import freeze


async def test_without_libvirtd_a_call_fails_at_its_deadline_and_heals_by_itself(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    await asyncio.to_thread(libvirtd.kill)
    watch = Stopwatch()
    with pytest.raises(HypervisorUnreachable):
        await qemu.hypervisor.find(name, soon(0.5))
    with pytest.raises(HypervisorUnreachable):
        await qemu.hypervisor.list(soon(0.5))
    with pytest.raises(HypervisorUnreachable):
        await qemu.hypervisor.power_off(vm, soon(0.5), allow)
    assert watch.seconds > 1.4
    assert watch.undisturbed < 2.5
    waiting = asyncio.create_task(qemu.hypervisor.find(name, soon()))
    await asyncio.to_thread(libvirtd.start)
    record = await waiting
    assert record is not None
    assert record.state is VmState.RUNNING


async def test_a_death_while_libvirtd_was_away_is_known_afterwards(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    pid = libvirtd.qemu_pid(name)
    await asyncio.to_thread(libvirtd.kill)
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(libvirtd.start)
    seen = await qemu.hypervisor.power_off(vm, soon(), allow)
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)


async def test_events_come_again_after_a_restart(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    vm = await qemu.add(fresh_name())
    await asyncio.to_thread(libvirtd.kill)
    await asyncio.to_thread(libvirtd.start)
    await qemu.hypervisor.find(vm, soon())
    heard: list[DomainEvent] = []
    qemu.hypervisor.subscribe(heard.append)
    await qemu.hypervisor.power_off(vm, soon(), allow)
    await eventually(lambda: any(event.vm == vm and event.kind == "stopped" for event in heard))


async def test_a_libvirtd_that_dies_under_a_kill_does_not_take_the_proof_with_it(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    pid = libvirtd.qemu_pid(name)
    freeze(pid)
    off = asyncio.create_task(qemu.hypervisor.power_off(vm, soon(25), allow))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(libvirtd.kill)
    await asyncio.to_thread(libvirtd.start)
    await asyncio.sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    seen = await off
    assert (seen.state, seen.proof) == (VmState.OFF, Proof.PROCESS_EXIT)


async def test_a_frozen_libvirtd_costs_each_call_its_deadline_and_no_more(
    qemu: LibvirtWorld, libvirtd: Libvirtd
) -> None:
    name = fresh_name()
    vm = await qemu.add(name)
    took: list[float] = []
    with libvirtd.frozen():
        for _ in range(3):
            watch = Stopwatch()
            with pytest.raises(HypervisorUnreachable):
                await qemu.hypervisor.find(name, soon(0.3))
            seen = await qemu.hypervisor.power_off(vm, soon(0.3), allow)
            assert (seen.state, seen.proof) == (VmState.UNKNOWN, Proof.NONE)
            took.append(watch.undisturbed)
        # The middle one: a busy machine may stall once, a call that overstays its deadline does so each time.
        assert sorted(took)[1] < 1.5
        await asyncio.sleep(4)  # until the keepalive has given the connection up
        with pytest.raises(HypervisorUnreachable):
            await qemu.hypervisor.find(name, soon(0.3))
    record = await qemu.hypervisor.find(name, soon())
    assert record is not None
    assert record.state is VmState.RUNNING  # the kills whose deadline had passed were not carried out late (S12)
    assert (await qemu.hypervisor.power_off(vm, soon(), allow)).state is VmState.OFF


async def test_a_restart_costs_no_descriptors(qemu: LibvirtWorld, libvirtd: Libvirtd) -> None:
    counts = []
    for _ in range(3):
        await asyncio.to_thread(libvirtd.kill)
        await asyncio.to_thread(libvirtd.start)
        await qemu.hypervisor.list(soon())
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[-1] <= counts[0] + 1
