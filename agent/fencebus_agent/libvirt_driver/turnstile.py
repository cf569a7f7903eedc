"""Decides how many questions are put to libvirt at the same time: a few, unless those hang.

More of them are answered no sooner, as libvirtd has its own few workers; each needs a thread and a connection, and the
one that is unlucky among many waits for long.  A question that hangs must hold up nobody for more than a moment.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turnstile:
    """Lets ``most`` in at the same time, in the order in which they came, and everybody who has waited ``patience``
    seconds.  For the asyncio loop.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._most, self._patience = most, patience
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Return when it is one's turn; ``leave`` must follow.  Who is cancelled meanwhile is not inside."""
        if self._inside < self._most:
            self._inside += 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        patience = loop.call_later(self._patience, self._let_in, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was let in at the same moment
                self.leave()
            raise
        finally:
            patience.cancel()

    def leave(self) -> None:
        """Whoever was inside goes, and the next may come in."""
        self._inside -= 1
        while self._waiting and self._inside < self._most:
            self._let_in(self._waiting.popleft())

    def _let_in(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            self._inside += 1
            turn.set_result(None)
