"""Turns the absence of a library, which only some routers need, into what to install."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import BackendSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.problems import ConfigError, Problem, Where

DEBIAN_AND_EXTRA = {
    "aiohttp": ("python3-aiohttp", "ovirt"),
    "amqp": ("python3-kombu", "rabbitmq"),
    "kombu": ("python3-kombu", "rabbitmq"),
    "proton": ("python3-qpid-proton", "qmf"),
}
"""By the library's name: Debian's package, and the extra that brings it by pip."""


def cannot_be_built(settings: BackendSettings, error: ModuleNotFoundError) -> Exception:
    """What to raise for a backend whose library is not there; ``error`` itself if it is none of theirs but a defect."""
    name = (error.name or "").partition(".")[0]
    return ConfigError([_problem(settings, name)]) if name in DEBIAN_AND_EXTRA else error


def missing_libraries(settings: BackendSettings) -> Iterator[Problem]:
    """What would keep the daemon from building its router, without building it."""
    for part in parts_of(settings):
        name = _needed(part)
        if name and find_spec(name) is None:
            yield _problem(part, name)


def _needed(settings: BackendSettings) -> str:
    if isinstance(settings, OvirtSettings):
        return "aiohttp"
    if isinstance(settings, QmfSettings):
        return "kombu" if settings.url.startswith(("amqp://", "amqps://")) else "proton"
    return ""


def _problem(settings: BackendSettings, name: str) -> Problem:
    package, extra = DEBIAN_AND_EXTRA[name]
    text = f"the backend {settings.kind!r} needs the Python package {name}"
    advice = f"Debian: apt-get install {package}; else: pip install 'fencebus[{extra}]'"
    return Problem("backend-missing", text, settings.where or Where(""), advice)
