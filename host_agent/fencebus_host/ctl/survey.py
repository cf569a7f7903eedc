"""Finds out what this host has: hypervisors, guests, bridges, brokers, corosync, VDSM, vsock.  Changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent.guest_devices import LineKind
from fencebus_agent.hypervisor import HypervisorError
from fencebus_host.config.load import system_host_name
from fencebus_host.ctl.doctor.sockets import holders
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import HostId

PATIENCE = 5.0
"""Seconds for one hypervisor; a libvirt that is slower is as good as none for a person who waits."""
AMQP_PORTS = (5672, 5671)
_SOCKETS = {
    "qemu:///system": ("run/libvirt/libvirt-sock", "run/libvirt/virtqemud-sock"),
    "xen:///system": ("run/libvirt/virtxend-sock",),
    "lxc:///system": ("run/libvirt/virtlxcd-sock",),
}
_VDSM = ("etc/vdsm/vdsm.conf", "etc/vdsm/vdsm.id", "run/vdsm/vdsmd.lock")


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM of this host."""

    name: str
    uuid: str
    running: bool
    serial: bool = False
    channel: bool = False
    vsock: bool = False


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """A libvirt that was asked; ``trouble`` says why it did not answer."""

    uri: str
    guests: tuple[Guest, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What there is."""

    hypervisors: tuple[Hypervisor, ...]
    bridges: tuple[str, ...]
    corosync: bool
    """Whether this host is meant to be part of a corosync cluster, running or not (design 8)."""
    vdsm: bool
    vsock: bool
    broker_ports: tuple[int, ...] = ()
    """Ports of AMQP on which something listens here: a bus that could join hosts."""
    key_in_use: str = ""
    """The key that the configuration names which is here already; its guests have it."""

    @property
    def guests(self) -> tuple[Guest, ...]:
        """The guests of all hypervisors that answered."""
        return tuple(guest for hypervisor in self.hypervisors for guest in hypervisor.guests)

    def has_asked(self, uri: str) -> bool:
        """Whether this hypervisor is among those that were asked."""
        return any(one.uri == uri for one in self.hypervisors)


def survey(uris: Iterable[str] = (), root: Path = Path("/")) -> Site:
    """Look at this host; ``uris`` are the hypervisors to ask, by default those whose sockets are there."""
    asked = tuple(uris) or tuple(
        uri for uri, paths in _SOCKETS.items() if any((root / path).exists() for path in paths)
    )
    return Site(
        hypervisors=tuple(ask(uri) for uri in asked),
        bridges=bridges(root),
        corosync=(root / "etc/corosync/corosync.conf").is_file(),
        vdsm=any((root / path).exists() for path in _VDSM),
        vsock=(root / "dev/vhost-vsock").exists(),
        broker_ports=tuple(port for port in AMQP_PORTS if holders("tcp", port, root / "proc")),
    )


def bridges(root: Path = Path("/")) -> tuple[str, ...]:
    """The names of this host's bridges."""
    return tuple(sorted(path.parent.name for path in (root / "sys/class/net").glob("*/bridge")))


def ask(uri: str, patience: float = PATIENCE) -> Hypervisor:
    """The guests of one hypervisor, if it answers within so many seconds."""
    heard = _Heard()
    driver = logging.getLogger("fencebus_agent")
    driver.addHandler(heard)
    try:
        return Hypervisor(uri, asyncio.run(_guests(uri, patience)))
    except HypervisorError as error:
        return Hypervisor(uri, trouble=heard.last or error.detail)
    finally:
        driver.removeHandler(heard)


class _Heard(logging.Handler):
    """Keeps what the driver logs instead of printing it: the reason of a failed connection is there alone."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the message, without what it says about further attempts."""
        self.last = record.getMessage().partition("; next attempt")[0].partition(": ")[2]


async def _guests(uri: str, patience: float) -> tuple[Guest, ...]:
    # Late: completion at every press of a key needs neither libvirt nor the daemon.
    from fencebus_agent.libvirt_driver import LibvirtHypervisor
    from fencebus_host.this_machine import this_incarnation

    host = LibvirtHypervisor(uri, HostId(system_host_name()), this_incarnation(), check_disks=False)
    running = asyncio.create_task(host.run())
    try:
        deadline = Deadline.after(patience)
        await host.wait_ready(deadline)
        records = await host.list(deadline)
        devices = {each.vm: each for each in await host.devices(deadline)}
    finally:
        running.cancel()
        await asyncio.wait({running})
        await host.close()
    found = []
    for record in records:
        device = devices.get(record.uuid)
        kinds = {line.kind for line in device.lines} if device else set()
        found.append(
            Guest(
                record.name,
                record.uuid,
                record.state.is_claim,
                serial=LineKind.SERIAL in kinds,
                channel=bool(kinds - {LineKind.SERIAL}),
                vsock=device is not None and device.cid is not None,
            )
        )
    return tuple(sorted(found, key=lambda guest: guest.name))
