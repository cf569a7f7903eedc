"""Decides which class stands behind a backend of the configuration: one line for each router that this version has.

Imports wait until a router is chosen: what it needs may not be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.fence_agent_settings import FenceAgentSettings
from fencebus_host.config.model import BackendSettings
from fencebus_host.config.ordered_settings import OrderedSettings
from fencebus_host.config.problems import ConfigError, Problem, Where
from fencebus_host.ports import Router
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.ordered import OrderedRouter
from fencebus_schemas.model import HostId, Incarnation


@dataclass(frozen=True, slots=True)
class Ground:
    """What a router may stand on."""

    host: HostId
    incarnation: Incarnation
    state_dir: Path
    local: LocalRouter
    """This host's own hypervisors."""


Build = Callable[[BackendSettings, Ground], Router]


def _local(_settings: BackendSettings, ground: Ground) -> Router:
    return ground.local


def _ovirt(settings: BackendSettings, ground: Ground) -> Router:
    from fencebus_host.routers.ovirt import build as build_ovirt

    assert isinstance(settings, OvirtSettings)
    return build_ovirt(settings, ground.incarnation, ground.state_dir)


def _fence_agent(settings: BackendSettings, ground: Ground) -> Router:
    from fencebus_host.routers.fence_agent import build as build_fence_agent

    assert isinstance(settings, FenceAgentSettings)
    return build_fence_agent(settings, ground.host, ground.incarnation)


TABLE: Mapping[str, Build] = {
    "libvirt": _local,
    "ovirt": _ovirt,
    "rhevm": _ovirt,
    "fence_agent": _fence_agent,
}
"""By the word of the configuration; `fence_virtd -l` shows them in this order."""


def build(settings: BackendSettings, ground: Ground) -> Router:
    """The router, or the order of several.  Raises ConfigError for one that this version does not have."""
    if isinstance(settings, OrderedSettings):
        return OrderedRouter([build(part, ground) for part in settings.parts])
    if settings.kind not in TABLE:
        text = f"the backend {settings.kind!r} is not in this version"
        advice = 'backend = "libvirt" fences the VMs of this host'
        raise ConfigError([Problem("backend-missing", text, settings.where or Where(""), advice)])
    return TABLE[settings.kind](settings, ground)
