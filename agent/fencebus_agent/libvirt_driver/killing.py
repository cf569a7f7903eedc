"""Converts an order to end a VM into one run of libvirt calls in a worker thread: look, permit, kill (design 6.2).

What it sees it tells at once, before the kill, so that the asyncio loop can wait for the exit while destroy() is
still polling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import libvirt

from fencebus_agent.death import End, Job, Kill, Look, Power
from fencebus_agent.disks import Outliving, outliving
from fencebus_agent.hypervisor import HypervisorError, HypervisorUnreachable, Permit
from fencebus_agent.image_locks import see_locked
from fencebus_agent.libvirt_driver.marking import read_mark, read_saved_mark
from fencebus_agent.libvirt_driver.processes import ProcessFinder, release
from fencebus_agent.libvirt_driver.reading import read_job, read_power
from fencebus_agent.lives import NO_RUN, Lives
from fencebus_agent.process_watch import Held
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import Life, Uuid


@dataclass(frozen=True, slots=True)
class Order:
    """What the thread needs to know.  ``uri`` is for errors."""

    uri: str
    vm: Uuid
    deadline: Deadline
    permit: Permit
    arriving: bool = False
    began: float | None = None
    """When the driver saw the life begin; used where no process tells."""
    check_disks: bool = True
    clock: Clock = boottime
    lives: Lives | None = None
    """How marked lives are recognised; ``None`` where none are marked."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the thread saw before it acted.  The receiver owns the pidfds in ``held``."""

    look: Look
    held: tuple[Held, ...] = ()
    name: str = ""
    transient_xml: str = ""
    """The definition of a transient domain; empty if it is persistent."""
    disks: Outliving = field(default_factory=Outliving)
    at_rest: bool = False
    """Nothing ran, nothing was killed."""
    hidden: bool = False
    """No process of it was found, which does not mean that there is none."""


@dataclass(frozen=True, slots=True)
class _Domain:
    """What was read before the look."""

    handle: libvirt.virDomain
    transient_xml: str
    disks: Outliving
    held: tuple[Held, ...]
    mark: str
    """Empty where lives are not marked, or this one is not yet."""


def strike(
    conn: libvirt.virConnect, order: Order, finder: ProcessFinder | None, tell: Callable[[Sight], None]
) -> End | None:
    """End the VM.  ``None`` if it was at rest.  finder: ``None`` where no process stands behind a domain.

    Raises ActRefused if the permit does, HypervisorUnreachable if the deadline passed before the kill, libvirtError.
    """
    try:
        return _strike(conn, order, finder, tell)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    # libvirt dropped the domain between two questions: it was transient, or a migration took it along.  From the first
    # word that is told on, nothing is raised.
    return _strike(conn, order, finder, tell)


def _strike(
    conn: libvirt.virConnect, order: Order, finder: ProcessFinder | None, tell: Callable[[Sight], None]
) -> End | None:
    try:
        handle = conn.lookupByUUIDString(order.vm)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        tell(_at_rest(order, finder, Look(order.clock(), Power.GONE, watched=finder is not None), ""))
        return None
    name = handle.name()
    if read_power(handle) in (Power.OFF, Power.SAVED, Power.LEFT):
        _rest(handle, order, finder, tell, name)
        return None
    domain = _read(handle, order, finder)
    try:
        look = _look(domain, order, finder is not None)
        rests = look.power.over or look.power is Power.LEFT
        if not rests:
            _allow(order, look.life)
    except BaseException:
        release(domain.held)
        raise
    if rests:
        release(domain.held)
        _rest(handle, order, finder, tell, name)
        return None
    hidden = finder is not None and not domain.held and finder.may_hide(name)
    tell(Sight(look, domain.held, name, domain.transient_xml, domain.disks, hidden=hidden))
    return _kill(handle)


def _allow(order: Order, life: Life | None) -> None:
    """S12: nothing is carried out late; this thread may have waited for a connection or hung in a call."""
    if order.deadline.expired:
        raise HypervisorUnreachable(order.uri, "the look took until the deadline: nothing was done")
    order.permit(life)


def _rest(
    handle: libvirt.virDomain,
    order: Order,
    finder: ProcessFinder | None,
    tell: Callable[[Sight], None],
    name: str,
) -> None:
    """A domain at rest: set its saved life aside, and see whether a process is left (facts: libvirt 4.5)."""
    power, life = read_power(handle), None
    if handle.hasManagedSaveImage():
        life = _saved_life(handle, order)
        _allow(order, life)
        handle.managedSaveRemove()
    at = order.clock()
    power = power if life else read_power(handle)
    look = Look(at, power, life=life, watched=finder is not None, saved_image=bool(handle.hasManagedSaveImage()))
    tell(_at_rest(order, finder, look, name))


def _at_rest(order: Order, finder: ProcessFinder | None, look: Look, name: str) -> Sight:
    if finder is not None and not finder.sees:
        raise HypervisorError(order.uri, "the processes of this host are hidden from here, so no death can be proven")
    held = finder.every_process(order.vm) if finder else ()
    return Sight(look, held, name, at_rest=True)


def _read(handle: libvirt.virDomain, order: Order, finder: ProcessFinder | None) -> _Domain:
    xml = ""
    if not handle.isPersistent():
        xml = handle.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE)
    mark = order.lives.recognised(order.vm, handle.ID(), read_mark(handle)) if order.lives else ""
    held = finder.running(order.vm, handle.name()) if finder else ()
    try:
        disks = see_locked(outliving(handle.XMLDesc())) if finder and order.check_disks else Outliving()
    except BaseException:
        release(held)
        raise
    return _Domain(handle, xml, disks, held, mark)


def _look(domain: _Domain, order: Order, watched: bool) -> Look:
    saved = bool(domain.handle.hasManagedSaveImage())
    at = order.clock()
    # The job first: without one at this moment, no migration can have handed over by at + HANDOVER, whatever the
    # state says.
    job = read_job(domain.handle)
    power = read_power(domain.handle, order.arriving or job is Job.UNSEEN)
    return Look(at, power, job, _life(domain, order), watched, saved)


def _life(domain: _Domain, order: Order) -> Life:
    life = domain.held[0].qemu.life if domain.held else Life(f"id {domain.handle.ID()}", order.began)
    return replace(life, mark=domain.mark) if domain.mark else life


def _saved_life(handle: libvirt.virDomain, order: Order) -> Life:
    mark = order.lives.recognised(order.vm, NO_RUN, read_saved_mark(handle)) if order.lives else ""
    return Life(mark or f"saved:{order.vm}")


def _kill(handle: libvirt.virDomain) -> End:
    kill, text = _destroy(handle)
    if kill is Kill.LOST:
        return End(kill, Power.RUNNING, error=text)
    try:
        saved = _drop_image(handle)
        return End(kill, read_power(handle), saved, error=text)
    except libvirt.libvirtError as error:
        if error.get_error_domain() == libvirt.VIR_FROM_RPC:
            return End(Kill.LOST, Power.RUNNING, error=str(error))
        return End(kill, Power.RUNNING, error=str(error))


def _destroy(handle: libvirt.virDomain) -> tuple[Kill, str]:
    try:
        handle.destroy()
    except libvirt.libvirtError as error:
        if error.get_error_domain() == libvirt.VIR_FROM_RPC:
            return Kill.LOST, str(error)
        return _REFUSALS.get(error.get_error_code() or 0, Kill.FAILED), str(error)
    return Kill.DONE, ""


_REFUSALS = {libvirt.VIR_ERR_OPERATION_INVALID: Kill.NOT_RUNNING, libvirt.VIR_ERR_NO_DOMAIN: Kill.GONE}


def _drop_image(handle: libvirt.virDomain) -> bool:
    """Remove a saved image that was in the making when the kill came; say whether one is still there."""
    try:
        if handle.hasManagedSaveImage():
            handle.managedSaveRemove()
        return bool(handle.hasManagedSaveImage())
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return False
        raise
