"""Turns the absence of a library, which only some routers need, into what to install."""

from __future__ import annotations

from fencebus_host.config.model import BackendSettings
from fencebus_host.config.problems import ConfigError, Problem, Where
from fencebus_schemas.libraries import library_of, to_install


def cannot_be_built(settings: BackendSettings, error: ModuleNotFoundError) -> Exception:
    """What to raise for a backend whose library is not there; ``error`` itself if it is none of theirs but a defect."""
    if not (library := library_of(error)):
        return error
    text = f"the backend {settings.kind!r} needs the Python package {library}"
    return ConfigError([Problem("backend-missing", text, settings.where or Where(""), to_install(library))])
