"""Routes requests to oVirt and RHEV-M: the manager finds the VM, stops it on whatever host, and says when it is down.

``course`` and its neighbours decide, without input or output; ``engine``, ``session`` and ``wire`` carry it to the
manager; ``build`` makes the router from its settings.
"""

from __future__ import annotations

from pathlib import Path

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.problems import ConfigError, Problem, Where
from fencebus_host.ports import Router
from fencebus_schemas.model import Incarnation


def build(settings: OvirtSettings, incarnation: Incarnation, state_dir: Path) -> Router:
    """The router for these managers.  Raises ConfigError where the HTTP library is not installed."""
    try:
        from fencebus_host.routers.ovirt.engine import Engine
        from fencebus_host.routers.ovirt.router import OvirtRouter
    except ModuleNotFoundError as error:
        text = f"the backend {settings.kind!r} needs the Python package {error.name}"
        advice = "pip install 'fencebus[ovirt]'"
        raise ConfigError([Problem("backend-missing", text, settings.where or Where(""), advice)]) from error
    engines = [Engine(manager, state_dir) for manager in settings.managers]
    return OvirtRouter(settings.kind, engines, incarnation)
