"""Decides which changes of a configuration a reload cannot put in force.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import BackendSettings, ClusterSettings, Config
from fencebus_host.config.ordered_settings import OrderedSettings


def what_needs_a_restart(new: Config, running: Config) -> Iterator[str]:
    """What is different, in words; keys are renewed by a reload, and so are groups and listeners."""
    if list(map(_but_keys, new.candidates)) != list(map(_but_keys, running.candidates)):
        yield "what discovery may take"
    if _but_keys(new.backend) != _but_keys(running.backend) or new.daemon != running.daemon:
        yield "the backend and fence_virtd's own settings"
    if new.hosts != running.hosts:
        yield "the list of hosts"


def _but_keys(settings: BackendSettings) -> BackendSettings:
    if isinstance(settings, (QmfSettings, ClusterSettings)):
        return replace(settings, key_files=())
    if isinstance(settings, OrderedSettings):
        return replace(settings, parts=tuple(map(_but_keys, settings.parts)))
    return settings
