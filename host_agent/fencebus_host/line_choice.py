"""Decides which of the guests' lines a serial listener uses.  Pure.

As C (facts: fence-virt 5), with one difference: in mode ``vmchannel`` C takes every Unix-socket channel, the QEMU
guest agent's too; here a virtio port is used only if it has fencebus' own name, or lies in the folder that the
administrator has set aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from fencebus_agent.guest_devices import CHANNEL_NAME, GuestDevices, GuestLine, LineKind
from fencebus_host.config.model import SerialMode, SerialSettings

AGENT_PORTS = ("org.qemu.", "com.redhat.", "org.libguestfs.", "org.spice")
"""Virtio ports that belong to others, whatever folder their sockets are in."""


def chosen(settings: SerialSettings, guests: Iterable[GuestDevices]) -> frozenset[GuestLine]:
    """The lines to serve: those of running guests, and of guests that may start, where the daemon listens."""
    guests = list(guests)
    running = {line for guest in guests if guest.running for line in guest.lines}
    taken = {line.path for line in running}
    waiting = {
        line
        for guest in guests
        if not guest.running
        for line in guest.lines
        if line.daemon_listens and line.path not in taken
    }
    return frozenset(line for line in _unshared(running) | _unshared(waiting) if _is_ours(settings, line))


def _unshared(lines: Iterable[GuestLine]) -> frozenset[GuestLine]:
    """Without those whose socket several guests name: whoever writes there could be any of them."""
    lines = frozenset(lines)
    users = Counter(line.path for line in lines)
    return frozenset(line for line in lines if users[line.path] == 1)


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
