"""Words for several backends in an order: ``backend = "ovirt, local"``."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_host.config.model import BackendSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedSettings(BackendSettings):
    """The first backend that knows a VM has it; ``kind`` is their list as the configuration writes it."""

    parts: tuple[BackendSettings, ...]


def parts_of(settings: BackendSettings) -> tuple[BackendSettings, ...]:
    """The backends in their order; one that stands alone is the only part."""
    return settings.parts if isinstance(settings, OrderedSettings) else (settings,)
