"""Decides whether a signed request is new, the same once more, or played back by somebody.  Pure.

A signed request of the C protocol carries no time, so that a recorded one stays valid for as long as the key does
(facts: fence-virt 6.2, 14).  What was seen once is therefore remembered long after its patience is over, and refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.deadline import Clock, boottime

KEPT_SECONDS = 86_400.0
MOST_KEPT = 65_536
"""Requests remembered; at the protocol's usual rate this is more than a day, in a flood the oldest go first."""


class Sight(Enum):
    """How a request is seen."""

    FRESH = "fresh"
    AGAIN = "again"
    """The same, from the same source, within its patience, and not answered yet: a retransmission."""
    REPLAYED = "replayed"


@dataclass(slots=True)
class _Seen:
    source: str
    at: float
    answered: bool = False


class SeenRequests:
    """The signatures that were seen, oldest first, bounded in time and number."""

    def __init__(self, patience: float, clock: Clock = boottime, most: int = MOST_KEPT) -> None:
        self._patience = patience
        self._clock = clock
        self._most = most
        self._seen: dict[bytes, _Seen] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def limit(self, patience: float) -> None:
        """A listener with this patience takes part: what is shorter counts for all."""
        self._patience = min(self._patience, patience)

    def take_up(self, signatures: Iterable[bytes]) -> None:
        """Signatures that an earlier run of the daemon saw: whoever sends them again plays them back."""
        now = self._clock()
        for signature in signatures:
            self._seen.setdefault(signature, _Seen("", now, answered=True))

    def look(self, signature: bytes, source: str) -> Sight:
        """How a request with this signature, from this source, is seen; takes it down if it is fresh."""
        now = self._clock()
        self._forget(now)
        seen = self._seen.get(signature)
        if seen is None:
            self._seen[signature] = _Seen(source, now)
            return Sight.FRESH
        same = seen.source == source and not seen.answered and now - seen.at < self._patience
        return Sight.AGAIN if same else Sight.REPLAYED

    def answered(self, signature: bytes) -> None:
        """The requester has its answer: from now on the same bytes can only come from somebody else."""
        if seen := self._seen.get(signature):
            seen.answered = True

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) < self._most and now - self._seen[oldest].at < KEPT_SECONDS:
                return
            del self._seen[oldest]
