"""Decides what is to be thought of the hosts that were heard: since when they are silent, and which are two machines.

Times are seconds on this host's CLOCK_BOOTTIME.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fencebus_schemas.model import HostId, Incarnation

HEARTBEAT = 5.0
SILENT_AFTER = 15.0
TWIN_MEMORY = 60.0
"""Two machines heard under one HostId within this time are in conflict; also one that was replaced by another."""
FETCH_PATIENCE = 1.0
"""For so long an unanswered request for an inventory is not repeated."""


@dataclass(slots=True)
class _Heard:
    at: float
    incarnation: Incarnation
    token: str = ""
    has_left: bool = False
    machines: dict[str, float] = field(default_factory=dict)
    """When each machine of this name was last heard."""


class Acquaintance:
    """What was heard of each host, apart from what it has."""

    def __init__(self, me: HostId, incarnation: Incarnation) -> None:
        self._me = me
        self._incarnation = incarnation
        self._heard: dict[HostId, _Heard] = {}
        self._asked: dict[HostId, float] = {}

    def heard(self, host: HostId, incarnation: Incarnation, token: str, now: float) -> None:
        """Take down a sign of life.  An empty ``token`` is none."""
        known = self._heard.setdefault(host, _Heard(now, self._incarnation if host == self._me else incarnation))
        known.at = max(now, known.at)
        known.has_left = False
        known.machines[incarnation.machine_id] = known.at
        if known.incarnation != incarnation:
            if host == self._me:  # a twin, or a word of the daemon before us: no command to us is to quote it
                return
            known.incarnation, known.token = incarnation, ""
        known.token = token or known.token

    def ago(self, host: HostId, now: float) -> float | None:
        """Seconds since ``host`` was heard; ``None`` if it was not since this daemon started."""
        if host == self._me:
            return 0.0
        known = self._heard.get(host)
        return None if known is None else max(now - known.at, 0.0)

    def heard_at(self, host: HostId) -> float | None:
        """When ``host`` last gave a sign of life; ``None`` if it has not since this daemon started."""
        known = self._heard.get(host)
        return None if known is None else known.at

    def departed(self, host: HostId) -> None:
        """The carrier knows that nobody speaks for the host any more, until it is heard again."""
        if host in self._heard:
            self._heard[host].has_left = True

    def has_left(self, host: HostId) -> bool:
        """True from ``departed`` until the next sign of life."""
        return host in self._heard and self._heard[host].has_left

    def quote(self, host: HostId) -> tuple[str, Incarnation | None]:
        """Its latest token and incarnation, which a command to it has to quote; ``("", None)`` if none is known."""
        known = self._heard.get(host)
        return ("", None) if known is None else (known.token, known.incarnation)

    def conflicts(self, now: float) -> frozenset[HostId]:
        """The names by which two machines went within the last minute; ours, if another machine uses it."""
        return frozenset(host for host in self._heard if self.is_twin(host, now))

    def is_twin(self, host: HostId, now: float) -> bool:
        """True if two live machines go by this name."""
        known = self._heard.get(host)
        if known is None:
            return False
        alive = {machine for machine, at in known.machines.items() if now - at <= TWIN_MEMORY}
        if host == self._me:
            alive.add(self._incarnation.machine_id)
        return len(alive) > 1

    def may_ask(self, host: HostId, now: float) -> bool:
        """True, and taken down, if an inventory may be asked for: only one unanswered request a second."""
        asked = self._asked.get(host)
        if asked is not None and now - asked < FETCH_PATIENCE:
            return False
        self._asked[host] = now
        return True

    def answered(self, host: HostId) -> None:
        """The inventory has come."""
        self._asked.pop(host, None)
