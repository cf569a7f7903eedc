"""Converts what a console asks of a VM besides a fence to libvirt calls: shut down, suspend, resume, its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import libvirt

from fencebus_agent.death import Job
from fencebus_agent.hypervisor import HypervisorError, UnknownDomain
from fencebus_agent.libvirt_driver.driver import LibvirtHypervisor
from fencebus_agent.libvirt_driver.link import LinkLostError
from fencebus_agent.libvirt_driver.reading import read_job, read_power
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid, VmState

T = TypeVar("T")


class LibvirtCourtesies:
    """Implements ``courtesies.Courtesies`` over the connections of a driver; where it only looks, libvirt refuses."""

    def __init__(self, hypervisor: LibvirtHypervisor) -> None:
        self._hypervisor = hypervisor

    async def shut_down(self, vm: Uuid, deadline: Deadline) -> None:
        """See the port."""
        await self._once(vm, lambda domain: self._plainly(domain, None).shutdown(), deadline)

    async def suspend(self, vm: Uuid, deadline: Deadline) -> None:
        """See the port."""
        await self._once(vm, lambda domain: self._plainly(domain, VmState.RUNNING).suspend(), deadline)

    async def resume(self, vm: Uuid, deadline: Deadline) -> None:
        """See the port."""
        await self._once(vm, lambda domain: self._plainly(domain, VmState.PAUSED).resume(), deadline)

    async def definition(self, vm: Uuid, deadline: Deadline) -> str:
        """See the port."""
        return await self._once(vm, lambda domain: domain.XMLDesc(0), deadline)

    def _plainly(self, domain: libvirt.virDomain, state: VmState | None) -> libvirt.virDomain:
        """The domain, if it is in no migration (S14) and, where that matters, in this state."""
        self._hypervisor.check_may_act()
        power, job = read_power(domain), read_job(domain)
        if not power.plain or state not in (None, power.state) or job is not Job.NONE:
            wanted = state.value if state else "running or paused"
            detail = f"{domain.name()} is not plainly {wanted}: {power.value}, job: {job.value}"
            raise HypervisorError(self._hypervisor.name, detail)
        return domain

    async def _once(self, vm: Uuid, act: Callable[[libvirt.virDomain], T], deadline: Deadline) -> T:
        """Carried out at most once: after a broken connection nobody knows whether it was (S4)."""
        try:
            return await self._hypervisor.link.call_once(lambda conn: act(conn.lookupByUUIDString(vm)), deadline)
        except (libvirt.libvirtError, LinkLostError) as error:
            if isinstance(error, libvirt.libvirtError) and error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                raise UnknownDomain(self._hypervisor.name, f"no domain {vm}") from error
            raise HypervisorError(self._hypervisor.name, str(error)) from error
