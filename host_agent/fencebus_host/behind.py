"""Decides when that is written down for which nobody waits: together, and behind the answers to those who wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

BEHIND_SECONDS = 0.02
"""For so long it may wait until its request is answered: the thread and a fence take turns at the interpreter."""

Statement = tuple[str, Sequence[tuple[object, ...]]]
"""One of SQL, and the rows for which it is carried out."""
Named = tuple[str, Sequence[Statement]]
"""What it is, for the log, and how it is written."""
Make = Callable[[], Sequence[Statement]]


class Behind:
    """What is not on the disk yet."""

    def __init__(self, write: Callable[[Callable[[], Sequence[Named]]], None]) -> None:
        """``write`` is given what makes the statements, for the thread that writes."""
        self._write = write
        self._waiting: list[tuple[str, Make]] = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, what: str, make: Make) -> None:
        """To be written soon.  ``make`` is called in the thread."""
        self._waiting.append((what, make))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BEHIND_SECONDS, self.catch_up)

    def catch_up(self) -> None:
        """Have all of it written, before whatever the thread is given next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write(lambda: [(what, statements) for what, make in waiting if (statements := _made(what, make))])


def _made(what: str, make: Make) -> Sequence[Statement]:
    try:
        return make()
    except Exception:  # the root of this work: nobody awaits it, so that a defect would go unseen
        log.exception("%s not written by a defect", what)
        return ()
