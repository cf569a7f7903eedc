"""Presence decides from who is heard and who listens whether there is anybody to speak with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fencebus_agent.bus import BusState

log = logging.getLogger(__name__)


class Presence:
    """A host is there once it is heard and hears.  ``changed`` is told of each that comes and of the last that goes."""

    def __init__(self, changed: Callable[[BusState, str], None]) -> None:
        self._changed = changed
        self._heard: set[str] = set()
        self._hears: set[str] = set()
        self._there: set[str] = set()
        self._reasons: dict[str, str] = {}
        self.somebody = asyncio.Event()
        """Set while any host is there."""

    @property
    def trouble(self) -> str:
        """Why those who are not there are not, as far as it is known."""
        reasons = [f"{name}: {why}" for name, why in sorted(self._reasons.items()) if name not in self._there]
        return "; ".join(reasons) or "nobody has answered yet"

    def heard(self, name: str) -> None:
        """It can be heard."""
        self._heard.add(name)
        self._look(name)

    def hears(self, name: str) -> None:
        """It listens."""
        self._hears.add(name)
        self._look(name)

    def unheard(self, name: str, reason: str) -> None:
        """It cannot be heard, or not any more."""
        self._heard.discard(name)
        self._part(name, reason)

    def deaf(self, name: str, reason: str) -> None:
        """It does not listen any more."""
        self._hears.discard(name)
        self._part(name, reason)

    def _look(self, name: str) -> None:
        if name in self._heard and name in self._hears and name not in self._there:
            self._there.add(name)
            self._reasons.pop(name, None)
            self.somebody.set()
            log.info("connected with %s", name)
            self._changed(BusState.CONNECTED, "")

    def _part(self, name: str, reason: str) -> None:
        if name in self._there or self._reasons.get(name) != reason:
            log.warning("no connection with %s: %s", name, reason)
        self._reasons[name] = reason
        if name in self._there:
            self._there.discard(name)
            if not self._there:
                self.somebody.clear()
                self._changed(BusState.LOST, f"{name}: {reason}")
