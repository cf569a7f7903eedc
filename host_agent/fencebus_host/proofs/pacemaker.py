"""Asks the host cluster's Pacemaker whom it has fenced (S13); a shell around ``fence_history``.

It looks now and then even if nobody asks: what the first look after a fencing shows would prove nothing.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.proofs.cluster_view import UnreadableView, read_view
from fencebus_host.proofs.fence_history import FenceHistory
from fencebus_host.routers.fence_agent import process
from fencebus_schemas.deadline import Clock, Deadline, boottime

log = logging.getLogger(__name__)

CRM_MON = Path("/usr/sbin/crm_mon")
_LOOK = ("--one-shot", "--output-as=xml", "--fence-history=3")
LOOK_SECONDS = 5.0
EVERY, SELDOM = 5.0, 20.0
"""Seconds between two looks; the second as long as there was no cluster."""


NO_CLUSTER = Finding(Witness.PACEMAKER, Fate.UNKNOWN, "")
"""It has nothing to say where it has never been."""


class PacemakerWitness:
    """What this host's cluster knows."""

    def __init__(self, program: Path = CRM_MON, clock: Clock = boottime) -> None:
        self._program, self._clock = program, clock
        self._history = FenceHistory()
        self._turn = asyncio.Lock()
        self._looked_at = float("-inf")
        self._there: bool | None = None
        """A look has reached a cluster, or none has yet; ``None`` before the first."""

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await self._look(Deadline.after(LOOK_SECONDS, self._clock))
            await asyncio.sleep(EVERY if self._there else SELDOM)

    async def ask(self, question: AskProof) -> Finding:
        """A look that began after the question, and what all looks together prove.

        Where there is no cluster nobody waits for it: whether there is one now is found out now and then.
        """
        async with self._turn:
            if self._there is not False and self._looked_at < question.asked_at:
                until = min(question.until, self._clock() + LOOK_SECONDS)
                await self._take_a_look(Deadline(until, self._clock))
            return self._history.says(question.host) if self._there else NO_CLUSTER

    async def _look(self, deadline: Deadline) -> None:
        async with self._turn:
            await self._take_a_look(deadline)

    async def _take_a_look(self, deadline: Deadline) -> None:
        began = self._clock()
        self._there = self._there or False
        try:
            told = await process.run(self._program, b"", None, deadline, _LOOK)
            if told.cut_off:
                self._history.failed("the look was not over at the deadline", cut_off=True)
                return
            if not told.done:
                raise UnreadableView(f"crm_mon: {told.trouble}")
            self._history.looked(read_view(told.output), began)
        except (OSError, UnreadableView) as error:
            log.debug("no look at pacemaker: %s", error)
            self._history.failed(str(error))
        else:
            self._looked_at, self._there = began, True
