"""Decides who may fence whom, and what a list shows.  Pure.

The semantics are those of the C daemon's ``groups`` (static_map.c; facts: fence-virt 3.8) with three deliberate
differences: an entry that names a VM permits it by name and by UUID alike, addresses are compared as addresses and
may be networks, and a group that matches nobody switches nothing off.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from fencebus_host.config.model import Group
from fencebus_schemas.model import Source, VmRecord

HOST = "host"
"""The source of what root of a host orders; only where the source is ``known`` (an address may be called anything)."""

Spellings = frozenset[str]
"""All names of one VM, lower case: what was asked for, its UUID, its name."""


def spellings(*names: str) -> Spellings:
    """The names under which a group may mention one VM."""
    return frozenset(name.lower() for name in names if name)


@dataclass(frozen=True, slots=True)
class Labels:
    """The guest clusters that the two VMs belong to by their libvirt metadata."""

    source: str | None = None
    target: str | None = None


UNLABELLED = Labels()


class Policy:
    """The groups of one configuration; ``None`` means that the configuration has none, and everything is allowed."""

    def __init__(self, groups: Sequence[Group] | None) -> None:
        self._groups = groups

    def permits(self, source: Source, source_names: Spellings, target: Spellings, labels: Labels = UNLABELLED) -> bool:
        """True if ``source`` may act on the VM that is called ``target``.

        ``source_names`` are the names of the guest behind the source, where the listener knows it for certain
        (serial, channel, vsock); empty for a source that is only an address.  Two VMs with one label may act on each
        other, and a VM with a label is open to nobody else, unless a group says so.  The administrator of a host, who
        may do anything to its VMs, is not a guest that groups are about.
        """
        if source.known and source.text == HOST:
            return True
        if labels != UNLABELLED:
            return labels.source == labels.target or self._a_group_permits(source, source_names, target)
        return self._groups is None or self._a_group_permits(source, source_names, target)

    def _a_group_permits(self, source: Source, names: Spellings, target: Spellings) -> bool:
        return any(_has_member(group, source, names) and _mentions(group, target) for group in self._groups or ())

    def visible(self, source: Source, source_names: Spellings, record: VmRecord, label: str | None = None) -> bool:
        """True if a list that ``source``, whose label is ``label``, asked for shows this VM."""
        names = spellings(record.uuid, record.name)
        return self.permits(source, source_names, names, Labels(label, record.cluster))


def _mentions(group: Group, names: Spellings) -> bool:
    return any(entry.lower() in names for entry in group.uuids)


def _has_member(group: Group, source: Source, names: Spellings) -> bool:
    if names and _mentions(group, names):
        return True
    return any(_same_address(entry, source.text) for entry in group.ips)


def _same_address(entry: str, text: str) -> bool:
    """True if ``text`` is the address, or lies in the network, that ``entry`` gives; plain words are compared as C
    does.
    """
    if entry.lower() == text.lower():
        return True
    try:
        return _address(text) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address without its zone, and an IPv4 address that came through an IPv6 socket as IPv4."""
    address = ipaddress.ip_address(text.split("%", 1)[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
