"""Decides what may be said to other hosts of a VM, from one glance at libvirt and the kernel (S2, S14).

``glance`` asks, in a worker thread; ``sight`` decides, and is pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import libvirt

from fencebus_agent.death import Job, Power
from fencebus_agent.libvirt_driver.marking import read_mark, read_saved_mark
from fencebus_agent.libvirt_driver.processes import ProcessFinder, release
from fencebus_agent.libvirt_driver.reading import read_job, read_power
from fencebus_agent.lives import NO_RUN, PastLives
from fencebus_schemas.model import Life, Sight, Uuid, VmState


@dataclass(frozen=True, slots=True)
class Glance:
    """What was found."""

    power: Power
    job: Job = Job.NONE
    mark: str = ""
    """In the live metadata, or in the saved image; empty if there is none, or nobody asked."""
    run: int = NO_RUN
    """libvirt's number of the life."""
    process: Life | None = None
    """The life as its process tells it."""
    left_over: int = 0
    """Processes that carry the VM's UUID, though libvirt says that it is at rest."""
    hidden: bool = False
    """Processes cannot be seen from here, so finding none means nothing."""

    @property
    def rests(self) -> bool:
        """libvirt says that no life is here that could write."""
        return self.power.over or self.power is Power.LEFT

    @property
    def in_flight(self) -> bool:
        """S14: everything but a plain state without a migration job."""
        return self.power.migrates or self.job in (Job.MIGRATION, Job.UNSEEN)


@dataclass(frozen=True, slots=True)
class Remembrance:
    """What the driver knows of a VM beside what libvirt and the kernel say."""

    known: bool
    past: PastLives
    mark: str = ""
    """The glance's, if it is that life's own."""
    began: float | None = None
    """When the life was seen to begin; used where no process tells."""
    lingering: str = ""
    """What of its last life may still write."""
    starting: bool = False
    """A start of it is under way, or hangs."""


def glance(
    conn: libvirt.virConnect, vm: Uuid, finder: ProcessFinder | None, *, arriving: bool = False, marked: bool = False
) -> Glance:
    """Look at a VM.  finder: ``None`` where no process stands behind a domain.  Raises libvirtError."""
    try:
        domain = conn.lookupByUUIDString(vm)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return _resting(Power.GONE, "", vm, finder)
    # The job first: without one at this moment no migration can have handed over by the next question.
    job = read_job(domain)
    power = read_power(domain, arriving or job is Job.UNSEEN)
    if power.over or power is Power.LEFT:
        return _resting(power, read_saved_mark(domain) if marked and power is Power.SAVED else "", vm, finder)
    mark = read_mark(domain) if marked else ""
    held = finder.running(vm, domain.name()) if finder else ()
    process = held[0].qemu.life if held else None
    release(held)
    return Glance(power, job, mark, domain.ID(), process)


def _resting(power: Power, mark: str, vm: Uuid, finder: ProcessFinder | None) -> Glance:
    left_over = release(finder.every_process(vm)) if finder else 0
    return Glance(power, mark=mark, left_over=left_over, hidden=finder is not None and not finder.sees)


def sight(vm: Uuid, seen: Glance, memory: Remembrance) -> Sight:
    """The word for other hosts: whether a life is here, whichever left and whichever ended."""
    state, in_flight, detail = _state(seen, memory)
    return Sight(
        vm,
        state,
        memory.known or seen.power is not Power.GONE or state.is_claim,
        in_flight,
        _life(vm, seen, memory) if state.is_claim else None,
        memory.past.ended,
        memory.past.left,
        detail,
    )


def _state(seen: Glance, memory: Remembrance) -> tuple[VmState, bool, str]:
    if not seen.rests:
        detail = f"{seen.power.value}, with {seen.job.value} under way" if seen.in_flight else ""
        return seen.power.state, seen.in_flight, detail
    if seen.left_over:
        return VmState.RUNNING, False, "the hypervisor has given it up, but its process is alive"
    if seen.power is Power.SAVED:
        return VmState.SAVED, False, ""
    if seen.hidden:
        return VmState.UNKNOWN, False, "the processes of this host are hidden from here"
    if memory.starting:
        return VmState.UNKNOWN, True, "a start of it has not come back from the hypervisor"
    if memory.lingering:
        return VmState.UNKNOWN, False, memory.lingering
    return VmState.OFF, False, ""


def _life(vm: Uuid, seen: Glance, memory: Remembrance) -> Life | None:
    if seen.power is Power.SAVED and not seen.left_over:
        return Life(memory.mark or f"saved:{vm}")
    if seen.process is None and seen.run == NO_RUN:
        return None
    process = seen.process or Life(f"id {seen.run}", memory.began)
    return Life(memory.mark or process.mark, process.began_at)
