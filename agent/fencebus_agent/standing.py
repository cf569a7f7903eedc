"""Standing keeps whether a client has a connection to a broker, and decides what those who depend on it are told."""

from __future__ import annotations

import asyncio
import logging

from fencebus_agent.bus import BusCongested, BusError, BusState, BusUnreachable
from fencebus_agent.outbox import Fate
from fencebus_agent.patience import set_by
from fencebus_agent.sinks import Sinks
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)


class Standing:
    """One client's, at the brokers of a list.  ``name`` is the list's; ``sinks`` are told of each change."""

    def __init__(self, name: str, sinks: Sinks) -> None:
        self._name, self._sinks = name, sinks
        self._connected = asyncio.Event()
        self._leaving = False
        self.trouble = "not connected yet"
        """Why there is, or was last, no connection; for people."""

    @property
    def connected(self) -> bool:
        """True while there is a connection."""
        return self._connected.is_set()

    async def wait(self, deadline: Deadline) -> None:
        """Return once connected; raises BusUnreachable at the deadline."""
        if not self.connected and not await set_by(self._connected, deadline):
            raise self._unreachable()

    def too_late(self, fate: Fate, holdup: str) -> BusError:
        """What is to be said of a command at its deadline; ``holdup`` is why the broker takes nothing, or empty."""
        if fate is not Fate.WAITING:
            return BusCongested(self._name, "sent, but not confirmed until the deadline: it may arrive, or not")
        if not self.connected:
            return self._unreachable()
        return BusCongested(self._name, f"not sent: {holdup or 'the broker is too slow'}")

    # ---- what the bus says

    def begin(self) -> None:
        """From now on it is tried."""
        self._leaving = False

    def came(self) -> None:
        """There is a connection."""
        self._connected.set()
        log.info("%s: connected", self._name)
        self._sinks.tell(BusState.CONNECTED, "")

    def went(self, reason: str) -> None:
        """It is gone."""
        self.trouble = reason
        self._connected.clear()
        if not self._leaving:  # whoever leaves knows it
            self._sinks.tell(BusState.LOST, reason)

    def failed(self, reason: str) -> None:
        """There is still none."""
        if reason != self.trouble:
            log.warning("no connection to %s", reason)
        self.trouble = reason

    def leave(self) -> None:
        """It is given up, by ourselves."""
        self._leaving = True
        self._connected.clear()

    def _unreachable(self) -> BusUnreachable:
        return BusUnreachable(self._name, f"no connection until the deadline: {self.trouble}")
