"""A VM of QEMU on a node of a corosync cluster, behind all daemons' backs: it is started, and goes to another node."""

from __future__ import annotations

import libvirt

from tests.corosync import Node, wait_for

PORT = 49200


def start(vm: libvirt.virDomain) -> None:
    """A VM that has no process; libvirt learns of an end a fifth of a second after the kernel, and our daemon."""
    wait_for(lambda: not vm.isActive(), "libvirt's word that a VM has ended")
    vm.create()


def migrate(vm: libvirt.virDomain, there: libvirt.virConnect, node: Node) -> None:
    """Running, without a copy of its definition; returns when it has arrived."""
    through: dict[str, str | int] = {"migrate_uri": f"tcp://{node.address}:{PORT}"}
    vm.migrate3(there, through, libvirt.VIR_MIGRATE_LIVE)
