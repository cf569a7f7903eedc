"""Builds the router among hosts of a corosync cluster: the federation over their group, told what corosync knows."""

from __future__ import annotations

from fencebus_host.config.model import ClusterSettings
from fencebus_host.routers.checkpoint.group_carrier import GroupCarrier
from fencebus_host.routers.federated.build import build_on
from fencebus_host.routers.federated.router import FederatedRouter
from fencebus_host.routers.ground import Ground


def build_checkpoint(settings: ClusterSettings, ground: Ground) -> FederatedRouter:
    """The router; ``ground`` as for ``build_on``."""
    carrier = GroupCarrier(ground.host, settings.keys)
    router = build_on(ground, carrier, settings.kind)
    carrier.watch(router)
    return router
