"""A libvirt that is opened to look only: guests are found, their lines and changes too, and nobody can be ended."""

from __future__ import annotations

import libvirt
import pytest

from fencebus_agent.hypervisor import DomainEvent, HypervisorError
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_schemas.model import VmState
from tests.hypervisors import HOST, INCARNATION, LibvirtWorld, allow, eventually, fresh_name, serving, soon


async def test_it_looks_and_never_acts(qemu: LibvirtWorld) -> None:
    vm = await qemu.add(fresh_name())
    looking = LibvirtHypervisor(qemu.hypervisor.name, HOST, INCARNATION, read_only=True)
    events: list[DomainEvent] = []
    looking.subscribe(events.append)
    async with serving(looking):
        found = await looking.find(vm, soon())
        assert found is not None
        assert found.state is VmState.RUNNING
        assert vm in {each.vm for each in await looking.devices(soon())}
        for act in (looking.power_off, looking.power_on):
            with pytest.raises(HypervisorError, match="opened to look only"):
                await act(vm, soon(), allow)
        # And libvirt itself would refuse, whatever a defect of ours might ask for.
        with pytest.raises(libvirt.libvirtError, match="forbidden"):
            await looking.link.call_once(lambda conn: conn.lookupByUUIDString(vm).destroy(), soon())
        assert qemu.admin.lookupByUUIDString(vm).isActive()
        await qemu.hypervisor.power_off(vm, soon(), allow)
        await eventually(lambda: any(event.vm == vm for event in events))
