"""The port to what a console may ask of a VM here besides a fence.  Nothing of it proves anything, and no verdict
reads it.
"""

from __future__ import annotations

from typing import Protocol

from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Uuid


class Courtesies(Protocol):
    """One hypervisor's.  Every method raises UnknownDomain for a VM that is not here, else HypervisorError for what it
    cannot do, and ends by its deadline.
    """

    async def shut_down(self, vm: Uuid, deadline: Deadline) -> None:
        """Ask its operating system to shut down; returns when it was asked."""

    async def suspend(self, vm: Uuid, deadline: Deadline) -> None:
        """Stop its processors.  Only what plainly runs."""

    async def resume(self, vm: Uuid, deadline: Deadline) -> None:
        """Let its processors go on.  Only what is plainly paused: a VM that is paused by a migration may run elsewhere
        (S14, S15).
        """

    async def definition(self, vm: Uuid, deadline: Deadline) -> str:
        """libvirt's XML of it, without secrets."""
