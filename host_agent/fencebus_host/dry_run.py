"""Tells, in the place of a power action, what a daemon that runs with ``--dry-run`` would have done, and by whom.

What it tells is an objection: a dry run answers every power action with a failure, as nothing is proven dead by it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from fencebus_host import control_rehearsal
from fencebus_host.objection import Objection
from fencebus_host.ports import Asking, HostWord
from fencebus_host.service import Look
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import FenceRequest, HostId, Reason, Uuid

ASK_SECONDS = 5.0
"""Who has not said by then what it sees is told to be silent."""


class Members(Protocol):
    """Who else there is, and is not heard: see ``ownership.Ownership``."""

    @property
    def member_list(self) -> Sequence[HostId]:
        """All members."""

    def is_silent(self, host: HostId, now: float) -> bool:
        """Not heard lately."""


class Others(Asking, Protocol):
    """The router among hosts that know each other."""

    @property
    def ownership(self) -> Members:
        """Who they are."""


class DryRun:
    """Implements ``service.Drill`` by the rehearsal that operators know from `test-fence`."""

    def __init__(self, others: Others | None = None, clock: Clock = boottime) -> None:
        self._others, self._clock = others, clock

    async def __call__(self, request: FenceRequest, look: Look) -> Objection:
        """What would have been done; nothing is, and ``look`` found nothing that would have refused it before."""
        words = await self._words(request, look)
        steps = control_rehearsal.steps(request, look, words, self._mute())
        told = "; ".join(f"{step.name}: {step.text}" for step in steps)
        return Objection(Reason.PAUSED, f"dry run, nothing was done: {told}")

    async def _words(self, request: FenceRequest, look: Look) -> Sequence[HostWord]:
        uuids: set[Uuid] = {record.uuid for record in look.found.records}
        if self._others is None or look.found.inquiry is None or len(uuids) != 1:
            return ()
        words = await self._others.ask(request, uuids.pop(), request.deadline.sooner(ASK_SECONDS))
        return [_if_it_were_not_dry(word) for word in words]

    def _mute(self) -> Collection[HostId]:
        if self._others is None:
            return ()
        members, now = self._others.ownership, self._clock()
        return [host for host in members.member_list if members.is_silent(host, now)]


def _if_it_were_not_dry(word: HostWord) -> HostWord:
    """What is told is what would be done without --dry-run: this host, and others that run dry too, would obey then."""
    if word.refusal is not Reason.PAUSED or word.sight is None:
        return word
    detail = "; ".join(part for part in (word.sight.detail, "its daemon runs dry") if part)
    return replace(word, refusal=None, sight=replace(word.sight, detail=detail))
