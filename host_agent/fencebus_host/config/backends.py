"""Words for checked settings of routers that ask a manager: which one, who we are there, whom to believe."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from fencebus_host.config.model import BackendSettings


class ApiVersion(Enum):
    """The dialect that a manager speaks; ``auto`` asks it."""

    AUTO = "auto"
    V3 = "3"
    """RHEV-M 3.x, and engines 4.0 to 4.3 besides v4."""
    V4 = "4"


class HostFencing(Enum):
    """What may be done about the host of a VM of which the manager does not know whether it runs."""

    NO = "no"
    """Wait for the manager to find out."""
    STATUS = "status"
    """Ask the host's power management through the manager: a host without power runs nothing."""
    RESTART = "restart"
    """Have the manager power the host off and on.  Its other VMs die with it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account at a manager; the password never shows."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """One manager."""

    name: str
    """What logs and observations call it."""
    url: str
    """``https://host[:port]``, or with the path to its API behind it."""
    credentials_file: Path
    credentials: Credentials | None = field(default=None, repr=False, compare=False)
    """What the file holds; ``None`` only where files are left alone, and nothing may run so."""
    ca_file: Path | None = None
    """``None``: the manager's own CA is fetched once and pinned."""
    fingerprint: str = ""
    """SHA-256 of the CA to pin, in lower case without colons; empty: whatever comes first."""
    api_version: ApiVersion = ApiVersion.AUTO
    filter: bool = False
    """v3 only: the account is a user, not an administrator."""
    host_fencing: HostFencing = HostFencing.NO


@dataclass(frozen=True, slots=True, kw_only=True)
class OvirtSettings(BackendSettings):
    """``ovirt`` and ``rhevm``: VMs that a manager, or several, keep."""

    kind: str = "ovirt"
    managers: tuple[ManagerSettings, ...] = ()
