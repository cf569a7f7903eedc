"""Converts what libvirt says of a host and its domains to what consoles see beside their states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import libvirt

from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.libvirt_driver.driver import LibvirtHypervisor
from fencebus_agent.libvirt_driver.link import LinkLostError
from fencebus_agent.qmf_details import MachineDetails
from fencebus_schemas.amqp010 import Value
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid


class LibvirtDescriber:
    """Implements ``qmf_details.Describer`` over the connections of a driver."""

    def __init__(self, hypervisor: LibvirtHypervisor) -> None:
        self._hypervisor = hypervisor

    async def machines(self, vms: Iterable[Uuid] | None, deadline: Deadline) -> Mapping[Uuid, MachineDetails]:
        """See the port."""
        wanted = None if vms is None else tuple(vms)
        try:
            return await self._hypervisor.link.call(lambda conn: _machines(conn, wanted), deadline)
        except (libvirt.libvirtError, LinkLostError) as error:
            raise HypervisorError(self._hypervisor.name, str(error)) from error

    async def node(self, deadline: Deadline) -> Mapping[str, Value]:
        """See the port."""
        try:
            return await self._hypervisor.link.call(_node, deadline)
        except (libvirt.libvirtError, LinkLostError) as error:
            raise HypervisorError(self._hypervisor.name, str(error)) from error


def _machines(conn: libvirt.virConnect, vms: tuple[Uuid, ...] | None) -> dict[Uuid, MachineDetails]:
    domains = conn.listAllDomains() if vms is None else [found for vm in vms if (found := _lookup(conn, vm))]
    return {Uuid(one.UUIDString()): details for one in domains if (details := _machine(one)) is not None}


def _lookup(conn: libvirt.virConnect, vm: Uuid) -> libvirt.virDomain | None:
    try:
        return conn.lookupByUUIDString(vm)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _machine(domain: libvirt.virDomain) -> MachineDetails | None:
    """``None`` if it went away meanwhile, or is busy: what is not known is not told."""
    try:
        _, maximum, memory, processors, _ = domain.info()
        return MachineDetails(domain.ID() if domain.isActive() else -1, processors, maximum, memory)
    except libvirt.libvirtError:
        return None


def _node(conn: libvirt.virConnect) -> dict[str, Value]:
    model, mebibytes, cpus, mhz, nodes, sockets, cores, threads = conn.getInfo()
    return {
        "libvirtVersion": _version(conn.getLibVersion()),
        "apiVersion": _version(libvirt.getVersion()),
        "hypervisorVersion": _version(conn.getVersion()),
        "hypervisorType": conn.getType(),
        "model": model,
        "memory": mebibytes * 1024,
        "cpus": cpus,
        "mhz": mhz,
        "nodes": nodes,
        "sockets": sockets,
        "cores": cores,
        "threads": threads,
    }


def _version(number: int) -> str:
    """libvirt's way to write a version as one number."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
