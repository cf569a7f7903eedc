"""Decides which thread runs a blocking call: idle ones first, new ones up to a limit, and none that the program has
to wait for at exit.

The executor of the standard library joins its threads when the interpreter ends; a call that hangs in a hypervisor's
socket would hold up the end of the daemon for ever.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
Work = Callable[[], None]


class WorkerThreads:
    """A pool of daemon threads that grows with the calls that block.

    limit: most threads; further calls wait their turn.
    """

    def __init__(self, name: str, limit: int = 32) -> None:
        self._name, self._limit = name, limit
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._threads = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Run ``call`` in a thread; the future gets its result, or its exception.  A cancelled future's call never
        begins.
        """
        future: Future[T] = Future()
        with self._lock:
            self._work.put(lambda: _settle(future, call))
            if self._idle:
                self._idle -= 1
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def close(self) -> None:
        """Let every thread end once its call has returned."""
        with self._lock:
            for _ in range(self._threads):
                self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                # Work that is already waiting belongs to nobody yet: only then is this thread free for a new call.
                if self._work.empty():
                    self._idle += 1


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 -- a thread's root: whoever waits for the future gets it
        future.set_exception(error)
    else:
        future.set_result(result)
