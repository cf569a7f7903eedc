"""Asks the host cluster's Pacemaker whom it has fenced (S13); a shell around ``fence_history``.

It looks now and then even if nobody asks: what the first look after a fencing shows would prove nothing.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Finding
from fencebus_host.proofs.cluster_view import UnreadableView, read_view
from fencebus_host.proofs.fence_history import FenceHistory
from fencebus_host.routers.fence_agent import process
from fencebus_schemas.deadline import Clock, Deadline, boottime

log = logging.getLogger(__name__)

CRM_MON = Path("/usr/sbin/crm_mon")
_LOOK = ("--one-shot", "--output-as=xml", "--fence-history=3")
LOOK_SECONDS = 5.0
EVERY, SELDOM = 5.0, 60.0
"""Seconds between two looks; the second where there is no cluster."""


class PacemakerWitness:
    """What this host's cluster knows."""

    def __init__(self, program: Path = CRM_MON, clock: Clock = boottime) -> None:
        self._program, self._clock = program, clock
        self._history = FenceHistory()
        self._turn = asyncio.Lock()
        self._looked_at = float("-inf")

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            reached = await self._look(Deadline.after(LOOK_SECONDS, self._clock))
            await asyncio.sleep(EVERY if reached else SELDOM)

    async def ask(self, question: AskProof) -> Finding:
        """A look that began after the question, and what all looks together prove."""
        async with self._turn:
            if self._looked_at < question.asked_at:
                until = min(question.until, self._clock() + LOOK_SECONDS)
                await self._take_a_look(Deadline(until, self._clock))
            return self._history.says(question.host)

    async def _look(self, deadline: Deadline) -> bool:
        async with self._turn:
            return await self._take_a_look(deadline)

    async def _take_a_look(self, deadline: Deadline) -> bool:
        began = self._clock()
        try:
            told = await process.run(self._program, b"", None, deadline, _LOOK)
            if not told.done:
                raise UnreadableView(told.trouble)
            self._history.looked(read_view(told.output), began)
        except (OSError, UnreadableView) as error:
            log.debug("no look at pacemaker: %s", error)
            self._history.failed()
            return False
        self._looked_at = began
        return True
