"""Converts a libvirt connection into the devices of its guests."""

from __future__ import annotations

import libvirt

from fencebus_agent.guest_devices import GuestDevices, read_devices


def read_all_devices(conn: libvirt.virConnect) -> list[GuestDevices]:
    """The devices of every domain; one that vanishes meanwhile is left out."""
    found: list[GuestDevices] = []
    for domain in conn.listAllDomains():
        try:
            found.append(read_devices(domain.XMLDesc(), bool(domain.isActive())))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return found
