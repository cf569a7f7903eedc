"""Decides which life of another host is known to be over before that host has told all of it.  Pure.

An owner answers an order before it tells everybody of the change, as only the answer is waited for.  Whoever was
answered may ask at once what state the VM is in.
"""

from __future__ import annotations

from dataclasses import replace

from fencebus_host.evidence import is_plain_end
from fencebus_schemas.model import HostId, Observation, Uuid, VmRecord, VmState

MEMORY = 1.0
"""Seconds for which an answer stands for the news behind it; they come in milliseconds, or with the next heartbeat."""


class Endings:
    """What owners have answered to orders, until their news have come."""

    def __init__(self) -> None:
        self._marks: dict[tuple[HostId, Uuid], tuple[str, float]] = {}

    def answered(self, host: HostId, seen: Observation, now: float) -> None:
        """A host has ended a life, and says which."""
        self._forget(now)
        if seen.ended is not None and seen.ended.mark and is_plain_end(seen):
            self._marks[host, seen.vm] = seen.ended.mark, now + MEMORY

    def told(self, host: HostId, vm: Uuid | None = None) -> None:
        """The host has said what it has of the VM now, or of all."""
        for key in [(host, vm)] if vm is not None else [key for key in self._marks if key[0] == host]:
            self._marks.pop(key, None)

    def seen(self, record: VmRecord, now: float) -> VmRecord:
        """The record, off if the very life that it tells of has ended; another life is none of ours."""
        mark, until = self._marks.get((record.host, record.uuid), ("", 0.0))
        is_over = record.life != "" and record.life == mark and now < until
        return replace(record, state=VmState.OFF, life="") if is_over else record

    def _forget(self, now: float) -> None:
        for key in [key for key, (_, until) in self._marks.items() if now >= until]:
            del self._marks[key]
