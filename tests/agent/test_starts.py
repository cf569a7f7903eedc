"""A start that hangs in libvirt beyond its deadline, and the off that must not be answered meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_agent.libvirt_driver.starts import Starts
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmState

VM = Uuid("6695eb01-f6a4-8304-79aa-97f2502e193f")
DOMAIN = f"<domain type='test'><name>n</name><uuid>{VM}</uuid><memory>1</memory><os><type>hvm</type></os></domain>"


async def test_a_start_is_settled_when_it_has_come_back() -> None:
    starts = Starts()
    assert await starts.settled(VM, Deadline.after(0.0))
    with starts.under_way(VM):
        assert not await starts.settled(VM, Deadline.after(0.05))
    assert await starts.settled(VM, Deadline.after(0.0))


async def test_no_off_is_answered_while_a_start_that_timed_out_may_still_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = tmp_path / "world.xml"
    world.write_text(f"<node>{DOMAIN}</node>")
    hypervisor = LibvirtHypervisor(f"test://{world}", HostId("h"), Incarnation("b", "m", "n"))
    running = asyncio.create_task(hypervisor.run())
    go_on = threading.Event()
    create = libvirt.virDomain.createWithFlags

    def hanging_create(domain: libvirt.virDomain, flags: int = 0) -> int:
        go_on.wait(30)
        return create(domain, flags)

    try:
        await hypervisor.wait_ready(Deadline.after(30))
        await hypervisor.power_off(VM, Deadline.after(30), lambda _life: None)
        monkeypatch.setattr(libvirt.virDomain, "createWithFlags", hanging_create)
        with pytest.raises(HypervisorError):
            await hypervisor.power_on(VM, Deadline.after(0.5), lambda _life: None)
        with pytest.raises(HypervisorError, match="may still succeed"):
            await hypervisor.power_off(VM, Deadline.after(0.5), lambda _life: None)
        go_on.set()
        seen = await hypervisor.power_off(VM, Deadline.after(30), lambda _life: None)
        assert (seen.state, seen.was) == (VmState.OFF, VmState.RUNNING)
    finally:
        go_on.set()
        running.cancel()
        await hypervisor.close()
