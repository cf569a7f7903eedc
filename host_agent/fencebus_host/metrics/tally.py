"""Counts what has happened since the daemon started: power actions, and requests that were turned away.  Pure."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from fencebus_schemas.digest import AuthError
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import FenceOutcome, FenceRequest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
"""Upper ends in seconds: a kill takes some milliseconds, and 30 s are a client's patience."""


class Kind(NamedTuple):
    """What power actions are counted by.  No VM is named: a figure's labels must be few."""

    action: str
    via: str
    reason: str
    ok: bool


class Turned(NamedTuple):
    """What requests that were turned away are counted by."""

    via: str
    reason: str


@dataclass(slots=True)
class Durations:
    """How long the power actions of one kind took, from receipt to answer."""

    within: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """How many fell into each bucket; the last one has no end."""
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.within[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Tally:
    """The counts of one run of the daemon; an audience of its service, and of its listeners' refusals."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self.requests: Counter[Kind] = Counter()
        self.durations: dict[str, Durations] = {}
        """By action."""
        self.refused: Counter[Turned] = Counter()
        self.auth_failures: Counter[str] = Counter()
        """By listener."""
        self.last: dict[bool, float] = {}
        """When the last one succeeded (true) and failed (false): seconds of the Unix clock, for people."""

    def accepted(self, request: FenceRequest) -> None:
        """See ``control_requests.Audience``: counted once it is answered."""

    def answered(self, request: FenceRequest, outcome: FenceOutcome, seconds: float) -> None:
        """See ``control_requests.Audience``."""
        action = request.action.name.lower()
        self.requests[Kind(action, request.via, outcome.reason.value, outcome.ok)] += 1
        self.durations.setdefault(action, Durations()).add(seconds)
        self.last[outcome.ok] = self._wall_clock()

    def turned_away(self, listener: str, error: WireError) -> None:
        """A listener has turned a request away before anybody looked at what it wants."""
        self.refused[Turned(listener, error.code)] += 1
        if isinstance(error, AuthError):
            self.auth_failures[listener] += 1
