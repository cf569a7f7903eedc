"""Words for checked settings of how hosts are proven dead (S13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from fencebus_host.config.problems import Where

DEFAULT_FOLDER = Path("/usr/sbin")


class HostFencing(Enum):
    """What a host's own fence agent is asked for."""

    VERIFY = "verify"
    """Whether the host is off."""
    ACT = "act"
    """To switch the host off, too, if it is silent and had the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAgentSettings:
    """The fence agent of one host, and how it is run."""

    name: str
    """The host's id."""
    agent: str
    """The program's file name, such as ``fence_ipmilan``."""
    agent_dir: Path = DEFAULT_FOLDER
    user: str | None = None
    """Who the agent runs as; ``None`` only where we are not root."""
    plug: str | None = None
    """What the agent calls the host, where it reaches several."""
    options_file: Path | None = None
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """The keys and values of that file: passwords among them, so never in a log."""
    where: Where = field(compare=False)

    @property
    def program(self) -> Path:
        """What is run."""
        return self.agent_dir / self.agent
