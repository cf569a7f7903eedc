"""Decides which class stands behind a backend of the configuration: one line for each router that this version has.

Imports wait until a router is chosen: what it needs may not be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.fence_agent_settings import FenceAgentSettings
from fencebus_host.config.model import BackendSettings, ClusterSettings
from fencebus_host.config.ordered_settings import OrderedSettings
from fencebus_host.config.problems import ConfigError, Problem, Where
from fencebus_host.ports import Router
from fencebus_host.routers.ground import Ground
from fencebus_host.routers.missing import cannot_be_built
from fencebus_host.routers.ordered import OrderedRouter
from fencebus_schemas.bus_url import BadBusUrl, Tls

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


def _qmf(settings: BackendSettings, ground: Ground) -> Router:
    from fencebus_host.routers.federated.build import build_on
    from fencebus_host.routers.federated.bus_carrier import BusCarrier

    assert isinstance(settings, QmfSettings)
    bus = bus_at(settings.url, _terms(settings, ground))
    carrier = BusCarrier(ground.host, bus, settings.keys, settings.domain, hosts=ground.hosts)
    return build_on(ground, carrier, settings.kind)


def _checkpoint(settings: BackendSettings, ground: Ground) -> Router:
    from fencebus_host.routers.checkpoint.build import build_checkpoint

    assert isinstance(settings, ClusterSettings)
    return build_checkpoint(settings, ground)


def _terms(settings: QmfSettings, ground: Ground) -> BusTerms:
    files = (settings.ca_file, settings.cert_file, settings.certkey_file)
    return BusTerms(
        domain=settings.domain,
        client=f"fence_virtd on {ground.host}",
        tls=Tls(*(str(file) if file else None for file in files)),
        keys=settings.keys,
        host=ground.host,
    )


TABLE: Mapping[str, Build] = {
    "libvirt": _local,
    "ovirt": _ovirt,
    "rhevm": _ovirt,
    "qmf": _qmf,
    "libvirt-qmf": _qmf,
    "libvirt-qpid": _qmf,
    "checkpoint": _checkpoint,
    "cpg": _checkpoint,
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
    try:
        return TABLE[settings.kind](settings, ground)
    except ModuleNotFoundError as error:
        raise cannot_be_built(settings, error) from error
    except BadBusUrl as error:
        raise ConfigError([Problem("bad-url", str(error), settings.where or Where(""))]) from error
