"""Decides which event of a hypervisor is only the echo of a kill that this host has proven already.  Pure.

libvirt tells of the end some 200 ms after the process has gone.  As news it would break the guards that stand by then
(S2, S15), and the start of a reboot would lose its claim to the end of the very life that the reboot has ended.
"""

from __future__ import annotations

from enum import Enum, auto

from fencebus_agent.hypervisor import DomainEvent
from fencebus_host.evidence import is_plain_end
from fencebus_schemas.model import Observation, Uuid, VmState

ANNOUNCED, ENDED = "shutdown", "stopped"
"""QEMU says the first of itself, on a kill too; libvirt the second, once it has let go of the domain."""
ECHO_SECONDS = 5.0
"""libvirt polls each 200 ms.  What comes later is news: events may have been lost in between, and a life with them."""


class Meaning(Enum):
    """What an event tells."""

    NEWS = auto()
    ECHO = auto()
    """What is known."""
    UNKNOWN = auto()
    """Told once the kill is over."""


def may_be_echo(event: DomainEvent) -> bool:
    """True for what is heard of a kill that goes well, and of others' kills too."""
    return event.kind in (ANNOUNCED, ENDED) and not event.detail


class Echoes:
    """What is still to be heard of what is known."""

    def __init__(self) -> None:
        self._awaited: dict[Uuid, float] = {}
        """Until when, in the seconds of any clock that does not go back."""
        self._held: dict[Uuid, list[DomainEvent]] = {}
        """VMs that are being killed, and what was heard of each that may be the kill itself."""

    def begin(self, vm: Uuid) -> None:
        """A kill begins, the only one of this VM."""
        self._held[vm] = []

    def over(self, vm: Uuid) -> list[DomainEvent]:
        """What was heard in the midst of the kill, and is to be heard again once its result is known (``killed``)."""
        return self._held.pop(vm, [])

    def heard(self, event: DomainEvent, now: float) -> Meaning:
        """Until a kill is over nobody knows whose end it is that is heard; and as long nothing is denied here (S2)."""
        if event.vm in self._held and may_be_echo(event):
            self._held[event.vm].append(event)
            return Meaning.UNKNOWN
        return Meaning.ECHO if self.is_echo(event, now) else Meaning.NEWS

    def killed(self, seen: Observation, now: float) -> None:
        """A kill is over.  Only where it ended a process, and nothing spoke of a migration, is its event no news; one
        that found it dead already says nothing new, and of a saved image that is set aside nothing is said.
        """
        if seen.state is not VmState.OFF or seen.migration_in_flight:
            self._awaited.pop(seen.vm, None)
        elif is_plain_end(seen):
            self._awaited[seen.vm] = now + ECHO_SECONDS

    def is_echo(self, event: DomainEvent, now: float) -> bool:
        """True for the end of a life that was ended here, once, and for what announces it.  Whatever else is heard of
        the VM first is news, and so is all that follows it: another life may have begun.
        """
        until = self._awaited.get(event.vm)
        if until is None:
            return False
        if now >= until:
            del self._awaited[event.vm]
            return False
        plain = may_be_echo(event)
        if event.kind == ENDED or not plain:
            del self._awaited[event.vm]
        return plain
