"""Words for what a router may stand on: what the daemon has built before it, and gives to whichever is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent.hypervisor import SightedHypervisor
from fencebus_host.picture import Picture
from fencebus_host.picture_tables import Memory
from fencebus_host.policy import Policy
from fencebus_host.routers.federated.carrier import Witnesses
from fencebus_host.routers.local import LocalRouter
from fencebus_host.watched_keeper import WatchedKeeper
from fencebus_schemas.model import HostId, Incarnation


@dataclass(frozen=True, slots=True)
class Recollection:
    """The state folder's memory of other hosts, opened, with what it held when the daemon started."""

    picture: Picture
    memory: Memory
    keeper: WatchedKeeper
    """Writes into the picture, and tells whoever watches."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a router may stand on."""

    host: HostId
    incarnation: Incarnation
    state_dir: Path
    local: LocalRouter
    """This host's own hypervisors."""
    hypervisors: Sequence[SightedHypervisor] = ()
    """The same, one by one."""
    policy: Callable[[], Policy] = lambda: Policy(None)
    """Who may fence whom, as it is in force when it is asked (S6)."""
    hosts: frozenset[HostId] = frozenset()
    """The ``hosts`` of the configuration; empty if there is no such list."""
    recollection: Recollection | None = None
    """``None`` where no router needs to know other hosts."""
    witnesses: Witnesses | None = None
    """Who can say that another host is dead (S13)."""
    dry_run: bool = False
    """Whether nothing may be carried out, whoever orders it."""
