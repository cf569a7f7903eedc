"""Words for a fence agent as the configuration describes it: every value valid, nothing left to parse."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fencebus_host.config.model import BackendSettings

DEFAULT_FOLDER = Path("/usr/sbin")


@dataclass(frozen=True, slots=True)
class MappedVm:
    """One VM of the administrator's map."""

    name: str
    plug: str
    """What the agent calls it."""
    uuid: str | None = None
    """Canonical; ``None`` to have one made from the plug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceAgentSettings(BackendSettings):
    """A fence agent as the way to the VMs of one hypervisor manager."""

    kind: str = "fence_agent"
    instance: str = ""
    """Tells several apart: the ``pve`` of ``fence_agent = "pve" { ... }``."""
    agent: str = ""
    """The program's file name, such as ``fence_pve``."""
    agent_dir: Path = DEFAULT_FOLDER
    """The one folder whose programs may run."""
    user: str | None = None
    """Who the agent runs as; ``None`` only where we are not root, and so cannot be anybody else."""
    options_file: Path | None = None
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The keys and values of that file: passwords among them, so never in a log."""
    at_most: int = 4
    """Runs of the agent at once."""
    list_seconds: float = 60.0
    """How long a list of the agent counts."""
    vms: tuple[MappedVm, ...] = ()
    """If there are any, only these can be fenced, and the agent's list is not asked."""

    @property
    def name(self) -> str:
        """``fence_agent``, or ``fence_agent:pve`` for an instance; unique within a configuration."""
        return f"{self.kind}:{self.instance}" if self.instance else self.kind
