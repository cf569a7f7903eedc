"""Decides which refusals are worth a log line, so that a flood of rubbish does not become a flood of lines.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_schemas.deadline import Clock, boottime

EVERY_SECONDS = 10.0
MOST_SOURCES = 1024
MOST_LINES = 100
"""In ``every`` seconds, whatever the sources: whoever floods with datagrams also makes up where they come from."""


@dataclass(slots=True)
class _Told:
    at: float
    held_back: int = 0


class Complaints:
    """One line per source and reason in ten seconds; each line says how many were held back since the last."""

    def __init__(self, clock: Clock = boottime, every: float = EVERY_SECONDS, most: int = MOST_SOURCES) -> None:
        self._clock = clock
        self._every = every
        self._most = most
        self._told: dict[tuple[str, str], _Told] = {}
        self._window_began = clock()
        self._lines = 0

    def worth_a_line(self, source: str, code: str) -> int | None:
        """How many were held back before this one, if it deserves a line; else ``None``."""
        now = self._clock()
        told = self._told.get((source, code))
        if told is not None and now - told.at < self._every:
            told.held_back += 1
            return None
        if not self._has_a_line_left(now):
            return None
        held_back = told.held_back if told else 0
        self._told.pop((source, code), None)
        while len(self._told) >= self._most:
            del self._told[next(iter(self._told))]
        self._told[(source, code)] = _Told(now)
        return held_back

    def _has_a_line_left(self, now: float) -> bool:
        if now - self._window_began >= self._every:
            self._window_began, self._lines = now, 0
        self._lines += 1
        return self._lines <= MOST_LINES
