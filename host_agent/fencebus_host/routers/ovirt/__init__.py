"""Routes requests to oVirt and RHEV-M: the manager finds the VM, stops it on whatever host, and says when it is down.

``course`` and its neighbours decide, without input or output; ``engine``, ``session`` and ``wire`` carry it to the
manager; ``build`` makes the router from its settings.
"""

from __future__ import annotations

from pathlib import Path

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.ports import Router
from fencebus_schemas.model import Incarnation


def build(settings: OvirtSettings, incarnation: Incarnation, state_dir: Path) -> Router:
    """The router for these managers.  Raises ModuleNotFoundError where the HTTP library is not installed."""
    from fencebus_host.routers.ovirt.engine import Engine
    from fencebus_host.routers.ovirt.router import OvirtRouter

    engines = [Engine(manager, state_dir) for manager in settings.managers]
    return OvirtRouter(settings.kind, engines, incarnation)
