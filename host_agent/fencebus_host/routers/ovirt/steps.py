"""Words between a course, which decides, and the shell, which acts: what to do next, and what was seen.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_host.routers.ovirt.readings import VmReading
from fencebus_schemas.model import Life, Proof, VmState


@dataclass(frozen=True, slots=True)
class Look:
    """Read the VM anew."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Have the VM stopped, if the life that was seen may still be ended (S12)."""

    life: Life | None


@dataclass(frozen=True, slots=True)
class Start:
    """Have the VM started, if it may still be."""


@dataclass(frozen=True, slots=True)
class LookAtHost:
    """Read the state of a host, for the message alone."""

    host: str


@dataclass(frozen=True, slots=True)
class AskPower:
    """Ask the host's power management whether it has power."""

    host: str


@dataclass(frozen=True, slots=True)
class RestartHost:
    """Have the manager power the host off and on, if the VM's life may still be ended."""

    host: str
    life: Life | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until then."""

    until: float


@dataclass(frozen=True, slots=True)
class Ending:
    """What a course brought."""

    state: VmState
    proof: Proof = Proof.NONE
    was: VmState = VmState.UNKNOWN
    ended: Life | None = None
    seen_at: float = 0.0
    detail: str = ""
    denied: bool = False
    """The manager refused it to this account."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""

    ending: Ending


Step = Look | Stop | Start | LookAtHost | AskPower | RestartHost | Wait | Done


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the VM."""

    vm: VmReading
    at: float
    """CLOCK_BOOTTIME seconds at which the question was sent: what it says was so then or later."""
    life: Life | None = None
    """The life that it has, or had last."""
