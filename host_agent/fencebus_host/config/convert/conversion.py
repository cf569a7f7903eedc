"""Words for what a conversion gives: the new file, what changed its meaning, and the guests that use it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fencebus_host.config.problems import Where
from fencebus_host.config.tree import Item
from fencebus_schemas.errors import FencebusError

MAX_SOURCE = 1 << 20
"""Bytes; larger than any cluster.conf, which cman keeps below 100 kB."""


class Weight(Enum):
    """How much an administrator must care; the values are what the report prints."""

    KEPT = "kept"
    """Said here in other words, with the same meaning."""
    CHANGED = "changed"
    """Means something else now."""
    DROPPED = "dropped"
    """Has nothing that corresponds to it."""
    DECIDE = "decide"
    """Somebody has to look at it before the new file is used."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One line of the report."""

    weight: Weight
    text: str
    where: Where | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{self.weight.value:8}{place}{self.text}"


@dataclass(frozen=True, slots=True)
class GuestNode:
    """A node of the guest cluster, and the name or UUID of the VM that it is."""

    name: str
    vm: str
    level: int = 1
    """Which of the node's methods this is: 1 is tried first."""


@dataclass(frozen=True, slots=True)
class GuestDevice:
    """A fence device as the guests' Pacemaker is to have it."""

    name: str
    agent: str
    """``fence_xvm`` or ``fence_virt``."""
    options: tuple[tuple[str, str], ...]
    """The agent's own options, under today's names."""
    nodes: tuple[GuestNode, ...]

    @property
    def timeout(self) -> int:
        """Seconds the agent waits by itself; its default is C's."""
        return next((int(value) for name, value in self.options if name == "timeout" and value.isdigit()), 30)


@dataclass(frozen=True, slots=True)
class Conversion:
    """The result; ``items`` are empty where the source said nothing about a host."""

    items: tuple[Item, ...] = ()
    remarks: tuple[Remark, ...] = ()
    devices: tuple[GuestDevice, ...] = ()
    two_nodes: bool = False


class SourceError(FencebusError):
    """What is to be converted cannot be read.  ``source`` names it, ``detail`` says why."""

    def __init__(self, source: str, detail: str) -> None:
        super().__init__(source, detail)
        self.source = source
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.source}: {self.detail}"
