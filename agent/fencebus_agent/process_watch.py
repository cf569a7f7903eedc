"""Decides which processes are followed to their end, and says when the kernel has seen it.

A pidfd becomes readable when the last thread of its process has gone.  Main thread S, another one in D: not readable;
a zombie nobody has reaped: readable.  That is the only witness of death that does not lie (facts: libvirt 4.5).
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fencebus_agent import process_table
from fencebus_agent.patience import set_by
from fencebus_agent.process_table import Qemu
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.model import Uuid


@dataclass(frozen=True, slots=True)
class Held:
    """A VM's process and the pidfd that stands for it, whatever becomes of the pid; owned by who holds it."""

    qemu: Qemu
    pidfd: int

    def release(self) -> None:
        """Close the pidfd."""
        os.close(self.pidfd)


def hold(pid: int) -> Held | None:
    """Open the VM process with this pid.  ``None`` if it runs no VM, or has gone.  For any thread.

    The command line is read after the pidfd was opened: a pid used anew in between cannot be taken for the VM.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    qemu = process_table.read_qemu(pid)
    if qemu is None:
        os.close(pidfd)
        return None
    return Held(qemu, pidfd)


def has_ended(pid: int) -> bool:
    """True if the kernel has no such process, or only the shell of one that nobody has reaped.  For any thread."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return bool(_polled(pidfd))
    finally:
        os.close(pidfd)


def _polled(pidfd: int) -> list[tuple[int, int]]:
    poll = select.poll()  # select() knows only the first 1024 descriptors
    poll.register(pidfd, select.POLLIN)
    return poll.poll(0)


def hold_all(vm: Uuid | None = None) -> list[Held]:
    """Open every VM process of this machine, or those of one VM.  For any thread."""
    found = [hold(qemu.pid) for qemu in process_table.scan() if vm in (None, qemu.vm)]
    return [held for held in found if held is not None]


@dataclass(slots=True)
class Watched:
    """A process that is followed."""

    qemu: Qemu
    exited_at: float | None = None
    """CLOCK_BOOTTIME seconds at which its end was noticed, never before it; ``None`` while it lives."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class ProcessWatch:
    """Follows processes on the running asyncio loop.  Not for use from other threads."""

    def __init__(self, clock: Clock = boottime) -> None:
        self._clock = clock
        self._alive: dict[tuple[int, int], tuple[Watched, int]] = {}

    def follow(self, held: Held) -> Watched:
        """Take over ``held`` and follow its process; the one entry for it, if it is followed already."""
        key = (held.qemu.pid, held.qemu.started)
        known = self._alive.get(key)
        if known is not None:
            held.release()
            return known[0]
        watched = Watched(held.qemu)
        self._alive[key] = (watched, held.pidfd)
        asyncio.get_running_loop().add_reader(held.pidfd, self._end, key)
        return watched

    def alive(self, vm: Uuid) -> list[Watched]:
        """The processes of a VM that have not ended; usually one."""
        return [watched for watched, _ in self._alive.values() if watched.qemu.vm == vm]

    def named(self, name: str) -> Uuid | None:
        """The VM of a living process that carries this name."""
        return next((watched.qemu.vm for watched in self.everything() if watched.qemu.name == name), None)

    def everything(self) -> list[Watched]:
        """All processes that are followed and have not ended."""
        return [watched for watched, _ in self._alive.values()]

    def close(self) -> None:
        """Follow nothing any more."""
        for _, pidfd in self._alive.values():
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)
        self._alive.clear()

    def _end(self, key: tuple[int, int]) -> None:
        watched, pidfd = self._alive.pop(key)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        watched.exited_at = self._clock()
        watched.gone.set()


def last_exit(processes: Iterable[Watched]) -> float | None:
    """When the last of them ended; ``None`` while one lives, or if there are none."""
    times = [process.exited_at for process in processes]
    known = [at for at in times if at is not None]
    return max(known) if known and len(known) == len(times) else None


async def all_gone(processes: Sequence[Watched], deadline: Deadline) -> None:
    """Return when all have ended, or at the deadline."""
    for process in processes:
        if not await set_by(process.gone, deadline):
            return
