"""Converts a libvirt connection into lists: what domains there are, in which condition, with which names and
addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import libvirt

from fencebus_agent.death import Power
from fencebus_agent.libvirt_driver.processes import ProcessFinder
from fencebus_agent.libvirt_driver.reading import power_of, read_facts, read_power
from fencebus_agent.process_watch import Held
from fencebus_agent.roster import Known
from fencebus_schemas.model import Uuid


@dataclass(frozen=True, slots=True)
class Seen:
    """A domain as one question found it."""

    uuid: Uuid
    name: str
    power: Power


@dataclass(frozen=True, slots=True)
class Detail:
    """One domain read closely.  The receiver owns the pidfds in ``held``."""

    known: Known | None
    """``None`` if libvirt does not know it any more."""
    held: tuple[Held, ...] = ()
    running: bool = False


@dataclass(frozen=True, slots=True)
class Everything:
    """The whole inventory, read closely at connect.  The receiver owns the pidfds in ``held``."""

    known: tuple[Known, ...]
    seen: tuple[Seen, ...]
    held: tuple[Held, ...]


def read_all(conn: libvirt.virConnect) -> list[Seen]:
    """All domains in their present condition: two questions, however many they are."""
    saved = {domain.UUIDString() for domain in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)}
    rows = conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
    return [_seen(domain, stats["state.state"], stats["state.reason"], saved) for domain, stats in rows]


def read_each(conn: libvirt.virConnect, vms: Sequence[Uuid]) -> list[Seen]:
    """These domains in their present condition, one after the other; those that libvirt does not know are left out."""
    found = [look_up(conn, "", vm) for vm in vms]
    return [seen for seen in found if seen is not None]


def _seen(domain: libvirt.virDomain, state: int, reason: int, saved: set[str]) -> Seen:
    uuid, power = domain.UUIDString(), power_of(state, reason)
    return Seen(Uuid(uuid), domain.name(), Power.SAVED if power is Power.OFF and uuid in saved else power)


def look_up(conn: libvirt.virConnect, target: str, vm: Uuid | None, arriving: bool = False) -> Seen | None:
    """The domain with UUID ``vm``, or named ``target`` if that is ``None``; ``None`` if there is none."""
    try:
        domain = conn.lookupByUUIDString(vm) if vm else conn.lookupByName(target)
        power = read_power(domain, arriving)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    return None if power is Power.GONE else Seen(Uuid(domain.UUIDString()), domain.name(), power)


def read_detail(conn: libvirt.virConnect, vm: Uuid, finder: ProcessFinder | None) -> Detail:
    """Name, addresses and process of one domain."""
    try:
        domain = conn.lookupByUUIDString(vm)
        known = _known(domain)
        running = read_power(domain).state.is_claim
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return Detail(None)
        raise
    return Detail(known, finder.running(vm, known.name) if finder and running else (), running)


def read_everything(conn: libvirt.virConnect, finder: ProcessFinder | None) -> Everything:
    """All domains closely, and every VM process of this machine: also of one that libvirt has given up (design 6)."""
    known: list[Known] = []
    for domain in conn.listAllDomains():
        try:
            known.append(_known(domain))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return Everything(tuple(known), tuple(read_all(conn)), finder.everything() if finder else ())


def _known(domain: libvirt.virDomain) -> Known:
    facts = read_facts(domain.XMLDesc())
    return Known(facts.uuid, facts.name, facts.macs, facts.cluster)
