"""Converts an order to start a VM into libvirt calls in a worker thread: always a fresh boot, never a saved life."""

from __future__ import annotations

import time

import libvirt

from fencebus_agent.death import Power
from fencebus_agent.hypervisor import HypervisorError, Permit, UnknownDomain
from fencebus_agent.libvirt_driver.reading import read_power
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid

PAUSE = 0.05  # seconds between two attempts while libvirt still buries the last life


def boot(conn: libvirt.virConnect, uri: str, vm: Uuid, deadline: Deadline, permit: Permit, transient_xml: str) -> Power:
    """Start the VM; say what it was before.  A VM that is on is left alone.

    transient_xml: the definition to make it anew from, if libvirt has forgotten it; may be empty.
    Raises UnknownDomain, ActRefused, HypervisorError at the deadline, libvirtError if the start failed.
    """
    domain = _lookup(conn, vm)
    power = Power.GONE if domain is None else read_power(domain)
    if not power.over:
        return power
    if domain is None and not transient_xml:
        raise UnknownDomain(uri, f"no domain {vm}")
    _allow(uri, deadline, permit)
    if domain is None:
        _make_anew(conn, transient_xml, deadline)
    else:
        _boot_afresh(domain)
    return power


def _allow(uri: str, deadline: Deadline, permit: Permit) -> None:
    """S12: nothing is carried out late."""
    if deadline.expired:
        raise HypervisorError(uri, "the deadline passed before the start: nothing was done")
    permit(None)


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


def _make_anew(conn: libvirt.virConnect, xml: str, deadline: Deadline) -> None:
    while True:
        try:
            conn.createXML(xml)
        except libvirt.libvirtError as error:
            # "already being removed": the last life is still being buried (facts: libvirt 4.3).
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED or deadline.remaining() < PAUSE:
                raise
            time.sleep(PAUSE)
        else:
            return
