"""Keeps the daemon's parts running: one that fails is started again with a growing, jittered pause, and says so
meanwhile.

The daemon serves what still works; what does not is visible in ``Part.state`` and in one log line per failure (design
7).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

Ready = Callable[[], None]
Run = Callable[[Ready], Awaitable[None]]
"""Runs a part until it is cancelled, and calls ``Ready`` once it works; raising means that it has failed."""


def pause_before(attempt: int, jitter: float) -> float:
    """Seconds to wait before attempt number ``attempt`` (from 1); ``jitter`` in [0, 1) spreads many daemons out."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16)) * (0.5 + jitter / 2)


class Part:
    """One listener or router with its state."""

    def __init__(self, name: str, run: Run, changed: Callable[[], None]) -> None:
        self.name = name
        self._run = run
        self._changed = changed
        self.tried = asyncio.Event()
        """Set after the first try, whatever came of it."""
        self.trouble: str | None = "starting"
        """What is wrong, for people; ``None`` while the part works."""
        self._task: asyncio.Task[None] | None = None
        self._attempt = 0

    def start(self) -> None:
        """Begin to run and to restart."""
        self._task = asyncio.create_task(self._keep_running(), name=self.name)

    async def stop(self) -> None:
        """End it, and return when it has ended."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})

    def report(self, trouble: str | None) -> None:
        """What is wrong with the part while it goes on running, ``None`` if nothing is."""
        if trouble is None:
            self._attempt = 0
        if trouble != self.trouble or not self.tried.is_set():
            self.trouble = trouble
            self.tried.set()
            self._changed()

    async def _keep_running(self) -> None:
        while True:
            try:
                await self._run(self._works)
                self.report("ended by itself")
            except OSError as error:
                self.report(str(error))
                log.warning("part=%s failed: %s", self.name, error)
            except Exception:  # the root of this part: a defect in one listener must not end the others
                self.report("a defect; the log has the details")
                log.exception("part=%s failed by a defect", self.name)
            self._attempt += 1
            await asyncio.sleep(pause_before(self._attempt, random.random()))

    def _works(self) -> None:
        self.report(None)
