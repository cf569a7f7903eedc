"""The ports between the host's parts: what a listener calls, and what it takes to be a router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fencebus_agent.hypervisor import Permit
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import FenceOutcome, FenceRequest, HostId, Reason, Sight, Uuid, VmRecord

Wanted = Callable[[], bool]
"""Whether the requester is still there to hear the answer (S12); may be called from any thread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a listener sends back: the outcome, and for ``list`` the VMs that the source may see."""

    outcome: FenceOutcome
    vms: tuple[VmRecord, ...] = ()


Handle = Callable[[FenceRequest, Wanted], Awaitable[Answer]]
"""The service, as a listener sees it: never raises, and answers by the request's deadline."""


class Listener(Protocol):
    """Receives requests from guests over one kind of wire."""

    @property
    def name(self) -> str:
        """``tcp``, ``multicast:br1``: as logs and ``via`` show it."""

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled, calling ``ready`` once open; raises OSError when its socket cannot be opened or is
        lost.

        What has been accepted goes on after a cancellation, so that a reload breaks off nothing.
        """


class Router(Protocol):
    """Finds out who has a VM and has things done to it there.  Brings evidence, never a success."""

    @property
    def name(self) -> str:
        """As the configuration calls it."""

    async def run(self) -> None:
        """Keep the router's connections alive; returns only when cancelled."""

    async def find(self, target: str, deadline: Deadline) -> Evidence:
        """Who has the VM of this name or UUID: the records, and who did not answer by the deadline."""

    async def list(self, deadline: Deadline) -> Sequence[VmRecord]:
        """All VMs that this router reaches; raises HypervisorError if one hypervisor is silent until the deadline."""

    async def check(self, deadline: Deadline) -> None:
        """Return if the router works; raises HypervisorError, saying what does not."""

    async def power_off(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """End the target's life wherever it was found; ``found`` with observations added, or with an objection."""

    async def power_on(self, vm: Uuid, found: Evidence, deadline: Deadline, permit: Permit) -> Evidence:
        """Start the target in the one place that may start it; ``found`` with observations added, or with an
        objection.
        """


@runtime_checkable
class Troubled(Protocol):
    """A router that knows what is out of reach, beyond this host's own hypervisors."""

    @property
    def trouble(self) -> str | None:
        """For people, from memory; ``None`` if everything answered when it was last asked."""


@dataclass(frozen=True, slots=True)
class HostWord:
    """What one host says when it is asked now; nothing is done for it."""

    host: HostId
    sight: Sight | None
    """What it sees; ``None`` if it does not answer."""
    refusal: Reason | None = None
    """Why it would not obey an order (S6)."""


@runtime_checkable
class Asking(Protocol):
    """A router that can ask every host what it sees and whether it would obey, without anything being done."""

    async def ask(self, request: FenceRequest, vm: Uuid, deadline: Deadline) -> Sequence[HostWord]:
        """The word of each member, by its name."""


class Record(Protocol):
    """What must be on disk before an answer is given (S4)."""

    async def ended(self, request: FenceRequest, evidence: Evidence) -> None:
        """Write down the lives that were ended; returns when they are on the disk.  Raises RecordError if they cannot
        be.
        """
