"""Converts an order to start a VM into libvirt calls in a worker thread: always a fresh boot, never a saved life."""

from __future__ import annotations

import time
from dataclasses import dataclass

import libvirt

from fencebus_agent.death import Power
from fencebus_agent.hypervisor import HypervisorError, Permit, UnknownDomain
from fencebus_agent.libvirt_driver.marking import unmarked
from fencebus_agent.libvirt_driver.processes import ProcessFinder, release
from fencebus_agent.libvirt_driver.reading import read_power
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid

PAUSE = 0.05  # seconds between two attempts while libvirt still buries the last life


@dataclass(frozen=True, slots=True)
class Start:
    """What the thread needs to know.  ``uri`` is for errors."""

    uri: str
    vm: Uuid
    deadline: Deadline
    permit: Permit
    transient_xml: str = ""
    """The definition to make it anew from, if libvirt has forgotten it."""
    left: bool = False
    """This host's own record says that the VM migrated away, and was not seen to come back."""


@dataclass(frozen=True, slots=True)
class Booted:
    """What a start came to."""

    before: Power
    run: int | None = None
    """libvirt's number of the life that began; ``None`` if none did."""


def boot(conn: libvirt.virConnect, start: Start, finder: ProcessFinder | None) -> Booted:
    """Start the VM; say what it was before.  A VM that is on is left alone.

    finder: ``None`` where no process stands behind a domain.
    Raises UnknownDomain, ActRefused, HypervisorError if it must not be started, libvirtError if the start failed.
    """
    domain = _lookup(conn, start.vm)
    power = Power.GONE if domain is None else read_power(domain)
    if not power.over:
        return Booted(power)
    if domain is None and not start.transient_xml:
        raise UnknownDomain(start.uri, f"no domain {start.vm}")
    if domain is None:
        return Booted(power, _make_anew(conn, start, finder).ID())
    _allow(start, finder)
    _boot_afresh(domain)
    return Booted(power, domain.ID())


def _allow(start: Start, finder: ProcessFinder | None) -> None:
    if start.left:
        # S15: it runs wherever it went, even where libvirt has forgotten that and says "off".
        raise HypervisorError(start.uri, f"{start.vm} migrated away from here, and nobody saw it end")
    if finder is not None and release(finder.every_process(start.vm)):
        # S15: a second copy ruins disks like a false fence, and libvirt may have given up a process that still writes.
        raise HypervisorError(start.uri, f"a process of {start.vm} is alive, though libvirt does not know it")
    if start.deadline.expired:  # S12: nothing is carried out late
        raise HypervisorError(start.uri, "the deadline passed before the start: nothing was done")
    start.permit(None)


def _lookup(conn: libvirt.virConnect, vm: Uuid) -> libvirt.virDomain | None:
    try:
        return conn.lookupByUUIDString(vm)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _boot_afresh(domain: libvirt.virDomain) -> None:
    try:
        domain.createWithFlags(libvirt.VIR_DOMAIN_START_FORCE_BOOT)
    except libvirt.libvirtError as error:
        # The test driver does not know the flag.
        if error.get_error_code() not in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED):
            raise
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()
        domain.createWithFlags(0)


def _make_anew(conn: libvirt.virConnect, start: Start, finder: ProcessFinder | None) -> libvirt.virDomain:
    while True:
        _allow(start, finder)  # S12: directly before each attempt, as the ones before have taken their time
        try:
            return conn.createXML(unmarked(start.transient_xml))  # another life than the one that had this definition
        except libvirt.libvirtError as error:
            # "already being removed": the last life is still being buried (facts: libvirt 4.3).
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED or start.deadline.remaining() < PAUSE:
                raise
            time.sleep(PAUSE)
