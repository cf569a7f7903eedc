"""Decides what has happened to the daemon's parts since they were last looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from fencebus_host.control_events import Events
from fencebus_schemas.status import EventKind


class HasState(Protocol):
    """A part of the daemon."""

    @property
    def name(self) -> str:
        """As logs call it."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with it."""


class PartNews:
    """Tells of each part that has begun to work, or has ceased to."""

    def __init__(self, parts: Callable[[], Iterable[HasState]], events: Events) -> None:
        self._parts, self._events = parts, events
        self._known: dict[str, str | None] = {}

    def changed(self) -> None:
        """Some part may be in another state."""
        now = {part.name: part.trouble for part in self._parts()}
        for name, trouble in now.items():
            if name not in self._known or self._known[name] != trouble:
                self._events.happened(EventKind.PART_CHANGED, f"{name}: {trouble or 'works'}", part=name)
        for name in self._known.keys() - now.keys():
            self._events.happened(EventKind.PART_CHANGED, f"{name}: closed", part=name)
        self._known = now
