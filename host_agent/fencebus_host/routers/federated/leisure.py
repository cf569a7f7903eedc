"""Decides when that is said for which nobody waits: behind the answer to whoever asked for a fence, and soon."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

MOST_SECONDS = 0.02
"""Who asked may be gone, and then nothing tells that there is time."""


class Leisure:
    """What one host has put off, in its order."""

    def __init__(self) -> None:
        self._later = deque[Callable[[], None]]()
        self._timer: asyncio.TimerHandle | None = None

    def put_off(self, call: Callable[[], None]) -> None:
        """Call it in a while."""
        self._later.append(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MOST_SECONDS, self.catch_up)

    def catch_up(self) -> None:
        """Do all that was put off.  What one of them raises is raised, and what is behind it waits once more."""
        later = self._forgotten()
        try:
            while later:
                later.popleft()()
        finally:
            for call in later:
                self.put_off(call)

    def give_up(self) -> None:
        """Nothing of it is to be done any more."""
        self._forgotten()

    def _forgotten(self) -> deque[Callable[[], None]]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        later, self._later = self._later, deque()
        return later
