"""The Hypervisor port: what fencebus asks of whatever runs the VMs of this host.

Three drivers stand behind it (libvirt on a real hypervisor, libvirt's test driver, memory) and one contract suite
runs on all of them.  A driver observes and acts; it never decides that a fence succeeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from fencebus_agent.guest_devices import GuestDevices
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.model import Life, Observation, Reason, Sight, Uuid, VmRecord


class HypervisorError(FencebusError):
    """A hypervisor could not do, or could not say, what was asked.  ``hypervisor`` is its URI, ``detail`` is for
    people.
    """

    def __init__(self, hypervisor: str, detail: str) -> None:
        super().__init__(hypervisor, detail)
        self.hypervisor = hypervisor
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.hypervisor}: {self.detail}"


class HypervisorUnreachable(HypervisorError):
    """No connection until the deadline: nothing is known, and nothing was done as far as this side can tell."""


class UnknownDomain(HypervisorError):
    """The hypervisor does not have such a VM, and this driver has no record of one that it ended."""


class ActRefused(FencebusError):
    """A permit forbade the act directly before it: nothing was done.  ``reason`` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"refused directly before the act: {self.reason.value}"


Permit = Callable[[Life | None], None]
"""Asked directly before a kill (with the life about to end) or a start (with ``None``), in whatever thread acts;
raises ActRefused when the act must not happen any more (S12, S16).  Quick, free of side effects beyond marking that
the act has begun."""


class Presence(Enum):
    """How much of a VM a hypervisor seems to have, as far as memory tells."""

    ABSENT = 0
    AT_REST = 1
    ALIVE = 2


MISSED = "missed"
"""The kind of what nobody heard: the hypervisor could not be listened to, and anything may have happened to the VM."""


@dataclass(frozen=True)
class DomainEvent:
    """A hint that something about a VM changed: re-read before believing (design 6)."""

    vm: Uuid
    kind: str
    """``started``, ``stopped``, ``suspended``, ``resumed``, ``defined``, ``undefined``, ``rebooted``, ``MISSED``..."""
    detail: str = ""


EventSink = Callable[[DomainEvent], None]


class Hypervisor(Protocol):
    """One hypervisor.  Every method ends by its deadline; none raises anything but HypervisorError and ActRefused."""

    @property
    def name(self) -> str:
        """The URI, for messages."""

    async def run(self) -> None:
        """Connect, follow events, heal; returns only when cancelled.  All other methods work while it runs."""

    async def wait_ready(self, deadline: Deadline) -> None:
        """Return once connected; raises HypervisorUnreachable at the deadline."""

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs, running or not, with their states as they are now.  Waits for a lost connection to heal, until the
        deadline.
        """

    async def find(self, target: str, deadline: Deadline) -> VmRecord | None:
        """The VM that has this UUID (``model.as_uuid``) or, else, exactly this name; ``None`` if there is none.

        A VM whose process is proven gone is OFF even while libvirt has not caught up; one whose process still lives,
        though libvirt has given it up, is a claim; a transient VM that this driver ended is still found, OFF.
        """

    async def power_off(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Look, ask the permit, kill, wait for the proof.

        Returns the observation whatever it is: state OFF with a proof if the VM's life here has provably ended (by
        this call or already before), else the state it is in with proof NONE and a detail that says what is missing,
        also when the deadline comes first.  Sets a managed-save image aside.  Never raises because the VM survived.
        Raises UnknownDomain if the VM is not known here, ActRefused if the permit says so.
        """

    async def power_on(self, vm: Uuid, deadline: Deadline, permit: Permit) -> Observation:
        """Boot the VM afresh (never from a saved image); RUNNING already is fine and nothing is done.

        Waits for a kill that the hypervisor has not finished.  A transient VM that this driver ended is made anew
        from the definition it had.  Raises HypervisorError if the start failed.
        """

    async def devices(self, deadline: Deadline) -> Sequence[GuestDevices]:
        """The serial lines, channels and vsock addresses of all guests, as they are now."""

    def presence(self, target: str) -> Presence:
        """How much of the VM with this name or UUID seems to be here: a hint from memory, without waiting, for haste
        alone.
        """

    def cluster_of(self, vm: Uuid) -> str | None:
        """The label of the VM's guest cluster, from memory; ``None`` if it has none or is not known."""

    def neighbours(self) -> Sequence[tuple[str, Uuid]]:
        """(MAC address in lower case, VM) of every network interface of every VM known here, from memory, without
        waiting.
        """

    def subscribe(self, sink: EventSink) -> None:
        """Call ``sink`` in the event loop for each change that the hypervisor reports."""

    async def close(self) -> None:
        """Give back connections, threads and descriptors; idempotent."""


class SightedHypervisor(Hypervisor, Protocol):
    """A hypervisor that can say enough of one VM for other hosts to rely on it (S2, S14)."""

    async def look(self, vm: Uuid, deadline: Deadline) -> Sight:
        """The VM as it is here now, known or not.  Complete when every event of before it has reached the
        subscribers: what came and went between two looks was told in between, or ``MISSED`` was.
        """
