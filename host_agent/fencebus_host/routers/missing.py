"""Turns the absence of a library, which only some routers need, into what to install."""

from __future__ import annotations

from fencebus_host.config.model import BackendSettings
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
    if name not in DEBIAN_AND_EXTRA:
        return error
    package, extra = DEBIAN_AND_EXTRA[name]
    text = f"the backend {settings.kind!r} needs the Python package {name}"
    advice = f"Debian: apt-get install {package}; else: pip install 'fencebus[{extra}]'"
    return ConfigError([Problem("backend-missing", text, settings.where or Where(""), advice)])
