"""Converts a domain's XML into the ways that its guest has to this host without a network: serial lines, channels,
vsock.

Pure.  Facts: fence-virt 5 (which devices C takes) and libvirt's domain format.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.model import Uuid

CHANNEL_NAME = "org.fencebus.fence.0"
"""The virtio port that belongs to fencebus; /dev/virtio-ports/org.fencebus.fence.0 in the guest."""


class LineKind(Enum):
    """What the guest sees at its end."""

    SERIAL = "serial"
    CHANNEL = "channel"
    GUESTFWD = "guestfwd"


@dataclass(frozen=True, slots=True)
class GuestLine:
    """One byte stream between a guest and a Unix socket of this host."""

    vm: Uuid
    vm_name: str
    kind: LineKind
    path: str
    """Of the socket."""
    daemon_listens: bool = False
    """True where the hypervisor connects to the socket (``mode='connect'``), false where it listens (``'bind'``)."""
    port_name: str = ""
    """The name of a virtio port; empty for other kinds."""


@dataclass(frozen=True, slots=True)
class GuestDevices:
    """What one guest has."""

    vm: Uuid
    vm_name: str
    lines: tuple[GuestLine, ...] = ()
    cid: int | None = None
    """Its vsock address."""
    running: bool = True
    """False for a guest that is only defined: a socket at which the daemon listens must be there before it starts."""


_MODES = {"bind": False, "connect": True}


def read_devices(xml: str, running: bool = True) -> GuestDevices:
    """The devices in the XML of a domain: its live XML if it runs."""
    root = ET.fromstring(xml)
    vm, name = Uuid((root.findtext("uuid") or "").strip().lower()), root.findtext("name") or ""
    lines = [_line(vm, name, device) for device in root.iterfind("./devices/*") if device.tag in ("serial", "channel")]
    return GuestDevices(vm, name, tuple(line for line in lines if line is not None), _cid(root), running)


def _line(vm: Uuid, name: str, device: ET.Element) -> GuestLine | None:
    source, target = device.find("source"), device.find("target")
    path = source.get("path", "") if source is not None else ""
    mode = _MODES.get(source.get("mode", "")) if source is not None else None
    kind = _kind(device.tag, target)
    if device.get("type") != "unix" or not path or mode is None or kind is None:
        return None
    port_name = target.get("name", "") if target is not None and kind is LineKind.CHANNEL else ""
    return GuestLine(vm, name, kind, path, mode, port_name)


def _kind(tag: str, target: ET.Element | None) -> LineKind | None:
    if tag == "serial":
        return LineKind.SERIAL
    types = {"guestfwd": LineKind.GUESTFWD, "virtio": LineKind.CHANNEL}
    return types.get(target.get("type", "")) if target is not None else None


def _cid(root: ET.Element) -> int | None:
    cid = root.find("./devices/vsock/cid")
    address = cid.get("address", "") if cid is not None else ""
    return int(address) if address.isdigit() else None
