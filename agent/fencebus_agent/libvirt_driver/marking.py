"""Converts the mark of a life to and from a domain's live metadata (docs/decisions/marks-of-lives.md).

These run in worker threads.  Only the live definition is touched: a fresh boot knows nothing of the life before.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import libvirt

from fencebus_agent.death import Job, Power
from fencebus_agent.libvirt_driver.reading import read_job, read_power
from fencebus_schemas.model import Uuid

LIFE_NAMESPACE = "urn:fencebus:life:1"
_PREFIX = "fencebus-life"
_UNMARKED = (
    libvirt.VIR_ERR_NO_DOMAIN_METADATA,
    libvirt.VIR_ERR_OPERATION_INVALID,  # off: there is no live definition
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_NO_SUPPORT,
)


@dataclass(frozen=True, slots=True)
class Sign:
    """What a domain's live metadata said, and of which run."""

    vm: Uuid
    run: int
    mark: str
    """Empty if it has none."""
    power: Power
    settled: bool
    """It plainly runs or stands still, without a job: whatever life this is, it is here."""
    copied: bool = False
    """Its persistent definition has the same mark, so it was copied there from a running domain's."""


def read_sign(conn: libvirt.virConnect, vm: Uuid, arriving: bool) -> Sign | None:
    """The sign of a domain that is on; ``None`` if it is not.  Raises libvirtError."""
    try:
        domain = conn.lookupByUUIDString(vm)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    job, power = read_job(domain), read_power(domain, arriving)
    if power.over or power is Power.LEFT:
        return None
    mark, settled = read_mark(domain), power.plain and job is Job.NONE
    copied = bool(mark) and _read(domain, libvirt.VIR_DOMAIN_AFFECT_CONFIG) == mark
    return Sign(vm, domain.ID(), mark, power, settled, copied)


def read_mark(domain: libvirt.virDomain) -> str:
    """The mark in the live metadata; empty if it has none, or is off.  Raises libvirtError."""
    return _read(domain, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def read_saved_mark(domain: libvirt.virDomain) -> str:
    """The mark of the life in the managed-save image; empty if it has none, or there is no image."""
    try:
        return mark_in(domain.managedSaveGetXMLDesc())
    except libvirt.libvirtError as error:
        if error.get_error_domain() == libvirt.VIR_FROM_RPC:
            raise
        return ""


def write_mark(conn: libvirt.virConnect, vm: Uuid, run: int, mark: str) -> bool:
    """Mark the life with this number; False if it is over by now, or another one.  Raises libvirtError."""
    try:
        domain = conn.lookupByUUIDString(vm)
        if domain.ID() != run:
            return False
        element = f"<life id='{mark}'/>"
        kind, live = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_LIVE
        domain.setMetadata(kind, element, _PREFIX, LIFE_NAMESPACE, live)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _UNMARKED:
            return False
        raise
    return conn.lookupByUUIDString(vm).ID() == run


def mark_in(xml: str) -> str:
    """The mark in a whole definition; empty if it has none."""
    life = ET.fromstring(xml).find(f"./metadata/{{{LIFE_NAMESPACE}}}life")
    return "" if life is None else life.get("id", "")


def unmarked(xml: str) -> str:
    """A definition without any mark: what is made anew from it is another life."""
    root = ET.fromstring(xml)
    metadata = root.find("metadata")
    life = None if metadata is None else metadata.find(f"{{{LIFE_NAMESPACE}}}life")
    if metadata is None or life is None:
        return xml
    metadata.remove(life)
    return ET.tostring(root, encoding="unicode")


def _read(domain: libvirt.virDomain, where: int) -> str:
    try:
        element = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, LIFE_NAMESPACE, where)
    except libvirt.libvirtError as error:
        if error.get_error_code() in _UNMARKED:
            return ""
        raise
    return ET.fromstring(element).get("id", "")
