"""Turns the absence of a library, which only some routers need, into what to install."""

from __future__ import annotations

from collections.abc import Iterator

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import BackendSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.problems import ConfigError, Problem, Where
from fencebus_schemas.libraries import is_there, library_of, to_install


def cannot_be_built(settings: BackendSettings, error: ModuleNotFoundError) -> Exception:
    """What to raise for a backend whose library is not there; ``error`` itself if it is none of theirs but a defect."""
    name = library_of(error)
    return ConfigError([_problem(settings, name)]) if name else error


def missing_libraries(settings: BackendSettings) -> Iterator[Problem]:
    """What would keep the daemon from building its router, without building it."""
    for part in parts_of(settings):
        name = _needed(part)
        if name and not is_there(name):
            yield _problem(part, name)


def _needed(settings: BackendSettings) -> str:
    if isinstance(settings, OvirtSettings):
        return "aiohttp"
    if isinstance(settings, QmfSettings):
        return "kombu" if settings.url.startswith(("amqp://", "amqps://")) else "proton"
    return ""


def _problem(settings: BackendSettings, name: str) -> Problem:
    text = f"the backend {settings.kind!r} needs the Python package {name}"
    return Problem("backend-missing", text, settings.where or Where(""), to_install(name))
