"""Describes a VM that exists in memory alone."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_agent.guest_devices import GuestLine
from fencebus_schemas.model import Uuid, VmState


@dataclass(frozen=True, slots=True)
class MemoryVm:
    """A VM to begin with.  ``state`` is RUNNING, PAUSED, SAVED (off with a managed-save image), INCOMING, OFF, or
    UNKNOWN (migrated to a host outside).
    """

    uuid: Uuid
    name: str
    state: VmState = VmState.RUNNING
    persistent: bool = True
    macs: tuple[str, ...] = ()
    lines: tuple[GuestLine, ...] = ()
    cid: int | None = None
    cluster: str | None = None
