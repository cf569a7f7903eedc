"""Converts what a thread has to say into calls in the asyncio loop, and the loop's wishes into a wake of the thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable

Call = Callable[[], None]
BACKLOG = 10_000
"""Calls that wait for a loop that is busy; of more, messages from the bus are lost, as they would be in a queue."""


class Handover:
    """Calls are made in the loop in the order in which they were given; the loop is woken once for many."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._lock = loop, threading.Lock()
        self._calls: deque[Call] = deque()

    def give(self, call: Call) -> None:
        """From the thread: have it called in the loop, soon."""
        with self._lock:
            self._calls.append(call)
            if len(self._calls) > 1:  # the loop has been woken, and has not come to it
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._run)

    @property
    def full(self) -> bool:
        """True if the loop is far behind."""
        return len(self._calls) >= BACKLOG

    def _run(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, deque()
        for call in calls:
            call()


class Wake:
    """Wakes a thread that waits in poll(2).  ``close`` it when the thread has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """What becomes readable."""
        return self._descriptor

    def set(self) -> None:
        """Wake it, now or when it comes to wait; nothing after ``close``."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """From the thread: it is awake."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
