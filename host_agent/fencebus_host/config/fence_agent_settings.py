"""Words for fence agents as the configuration describes them: every value valid, nothing left to parse."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fencebus_host.config.model import BackendSettings

DEFAULT_FOLDER = Path("/usr/sbin")
Options = tuple[tuple[str, str], ...]
"""An agent's own keys and values, in the order of the file."""


@dataclass(frozen=True, slots=True)
class MappedVm:
    """One VM of the administrator's map."""

    name: str
    plug: str
    """What the agent calls it."""
    uuid: str | None = None
    """Canonical; ``None`` to have one made from the plug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """One fence agent with its options: the way to the VMs of one hypervisor manager."""

    name: str
    """What logs and observations call it: ``fence_agent:pve``."""
    agent: str
    """The program's file name, such as ``fence_pve``."""
    agent_dir: Path = DEFAULT_FOLDER
    """The one folder whose programs may run."""
    user: str | None = None
    """Who the agent runs as; ``None`` only where we are not root, and so cannot be anybody else."""
    options_file: Path | None = None
    options: Options = field(default=(), repr=False)
    """The keys and values of that file: passwords among them, so never in a log."""
    at_most: int = 4
    """Runs of the agent at once."""
    list_seconds: float = 60.0
    """How long a list of the agent counts."""
    vms: tuple[MappedVm, ...] = ()
    """If there are any, only these can be fenced, and the agent's list is not asked."""

    @property
    def program(self) -> Path:
        """What is run."""
        return self.agent_dir / self.agent


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceAgentSettings(BackendSettings):
    """``fence_agent``: VMs that one fence agent reaches, or several, in the order of the file."""

    kind: str = "fence_agent"
    agents: tuple[AgentSettings, ...] = ()
