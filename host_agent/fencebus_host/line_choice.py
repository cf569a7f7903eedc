"""Decides which of the guests' lines a serial listener uses.  Pure.

As C (facts: fence-virt 5), with one difference: in mode ``vmchannel`` C takes every Unix-socket channel, the QEMU
guest agent's too; here a virtio port is used only if it has fencebus' own name, or lies in the folder that the
administrator has set aside.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from fencebus_agent.guest_devices import CHANNEL_NAME, GuestDevices, GuestLine, LineKind
from fencebus_host.config.model import SerialMode, SerialSettings

AGENT_PORTS = ("org.qemu.", "com.redhat.", "org.libguestfs.", "org.spice")
"""Virtio ports that belong to others, whatever folder their sockets are in."""


def chosen(settings: SerialSettings, guests: Iterable[GuestDevices]) -> frozenset[GuestLine]:
    """The lines to serve."""
    return frozenset(
        line
        for guest in guests
        for line in guest.lines
        if (guest.running or line.daemon_listens) and _is_ours(settings, line)
    )


def _is_ours(settings: SerialSettings, line: GuestLine) -> bool:
    if line.port_name == CHANNEL_NAME:
        return True
    if line.port_name.startswith(AGENT_PORTS) or not _in_folder(settings, line):
        return False
    if settings.mode is SerialMode.SERIAL:
        return line.kind is LineKind.SERIAL
    return line.kind is LineKind.GUESTFWD or (line.kind is LineKind.CHANNEL and settings.path is not None)


def _in_folder(settings: SerialSettings, line: GuestLine) -> bool:
    """The socket's parent folder is exactly the one that was named; its sub-folders do not count."""
    return settings.path is None or PurePath(line.path).parent == settings.path
