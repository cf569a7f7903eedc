"""Converts what libvirt says of a domain into fencebus' words: state and reason, job, and the facts of its XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import libvirt

from fencebus_agent.death import Job, Power
from fencebus_schemas.model import Uuid

LABEL_NAMESPACE = "urn:fencebus:domain:1"

_PLAIN_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: Power.UNSETTLED,
    libvirt.VIR_DOMAIN_RUNNING: Power.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: Power.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: Power.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: Power.ENDING,
    libvirt.VIR_DOMAIN_SHUTOFF: Power.OFF,
    libvirt.VIR_DOMAIN_CRASHED: Power.ENDING,
    libvirt.VIR_DOMAIN_PMSUSPENDED: Power.PAUSED,
}

# Reasons that say more than the state does (facts: libvirt 2 and 3).
_TELLING_REASONS = {
    (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY): Power.UNSETTLED,
    (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_POSTCOPY_FAILED): Power.UNSETTLED,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION): Power.OUTGOING,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY): Power.OUTGOING,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED): Power.OUTGOING,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP): Power.INCOMING,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_UNKNOWN): Power.UNSETTLED,
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED): Power.LEFT,
}

_STAYING_JOBS = {
    libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE,
    libvirt.VIR_DOMAIN_JOB_OPERATION_SNAPSHOT,
    libvirt.VIR_DOMAIN_JOB_OPERATION_DUMP,
    libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP,
}


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What a domain's XML says that does not change while it runs, hot-plugging aside."""

    uuid: Uuid
    name: str
    macs: tuple[str, ...] = ()
    cluster: str | None = None
    """The label of its guest cluster (metadata of LABEL_NAMESPACE), if it has one."""


def power_of(state: int, reason: int) -> Power:
    """The condition that libvirt's state and reason mean.  A saved image is not looked for."""
    return _TELLING_REASONS.get((state, reason)) or _PLAIN_STATES.get(state, Power.UNSETTLED)


def read_power(domain: libvirt.virDomain, arriving: bool = False) -> Power:
    """The condition of a domain now: one question, a second one if it is off.  GONE if libvirt has dropped it.

    arriving: its start was reported as a migration's, and no more has been heard.
    """
    try:
        state, reason = domain.state()[:2]
        power = power_of(state, reason)
        if power is Power.OFF and domain.hasManagedSaveImage():
            return Power.SAVED
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return Power.GONE
        raise
    return Power.INCOMING if arriving and power is Power.OUTGOING else power


def read_job(domain: libvirt.virDomain) -> Job:
    """What libvirt is doing with a domain.  A domain that is off has no job; a job that cannot be read is UNSEEN."""
    try:
        stats = domain.jobStats()
    except libvirt.libvirtError as error:
        code = error.get_error_code()
        # A driver that knows no jobs knows no migration either (the test driver).
        quiet = (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_DOMAIN)
        if error.get_error_domain() == libvirt.VIR_FROM_RPC:
            raise
        return Job.NONE if code in quiet else Job.UNSEEN
    return job_of(stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE), stats.get(libvirt.VIR_DOMAIN_JOB_OPERATION, 0))


def job_of(kind: int, operation: int) -> Job:
    """The job that libvirt's type and operation mean; an operation that this program does not know counts as a
    migration.
    """
    if kind == libvirt.VIR_DOMAIN_JOB_NONE:
        return Job.NONE
    return Job.STAYS if operation in _STAYING_JOBS else Job.MIGRATION


def read_facts(xml: str) -> DomainFacts:
    """UUID, name, MAC addresses and cluster label in a domain's XML."""
    root = ET.fromstring(xml)
    macs = [mac.get("address", "").lower() for mac in root.iterfind("./devices/interface/mac")]
    uuid = Uuid((root.findtext("uuid") or "").strip().lower())
    label = (root.findtext(f"./metadata/{{{LABEL_NAMESPACE}}}cluster") or "").strip()
    return DomainFacts(uuid, root.findtext("name") or "", tuple(mac for mac in macs if mac), label or None)
