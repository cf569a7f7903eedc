"""Decides which thread runs a blocking call: idle ones first, new ones up to a limit, and none that the program has
to wait for at exit.

The executor of the standard library joins its threads when the interpreter ends; a call that hangs in a hypervisor's
socket would hold up the end of the daemon for ever.  And its futures are not the loop's: to have one of them followed
by one of the loop costs several times what the way through the thread does, on the path of every request.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")
Settle = Callable[[], None]
Work = Callable[[], Settle | None]
"""A call that never raises; returns what is then to be done on the loop."""


class WorkerThreads:
    """A pool of daemon threads that grows with the calls that block.  Build and use it on the asyncio loop.

    limit: most threads; further calls wait their turn.
    """

    def __init__(self, name: str, limit: int = 32) -> None:
        self._name, self._limit = name, limit
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._settled: list[Settle] = []
        self._lock = threading.Lock()
        self._idle = 0  # threads to which no work has been promised
        self._waiting = 0  # work that was promised to no thread, as there may be no more of them
        self._threads = 0

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run ``call`` in a thread; the future gets its result, or its exception.  The call of a future that is done
        before (cancelled, given up) never begins.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(partial(_run, call, future))
        return future

    def submit_unheeded(self, call: Callable[[], object]) -> None:
        """Run ``call`` in a thread; nobody waits, and nobody hears of an exception."""

        def run() -> None:
            with contextlib.suppress(Exception):  # a thread's root: the next call must not suffer from it
                call()

        self._put(run)

    def close(self) -> None:
        """Let every thread end once its call has returned."""
        with self._lock:
            for _ in range(self._threads):
                self._work.put(None)

    def _put(self, work: Work) -> None:
        with self._lock:
            self._work.put(work)
            if self._idle:
                self._idle -= 1
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"{self._name}-{self._threads}", daemon=True).start()
            else:
                self._waiting += 1

    def _settle(self) -> None:
        """On the loop: all that has come back since it was woken, as to be woken for each is what costs most."""
        with self._lock:
            settled, self._settled = self._settled, []
        for settle in settled:
            settle()

    # -- in a thread ----------

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            self._hand_over(work())

    def _hand_over(self, settle: Settle | None) -> None:
        with self._lock:
            if self._waiting:
                self._waiting -= 1
            else:
                self._idle += 1
            if settle is None:
                return
            self._settled.append(settle)
            if len(self._settled) > 1:  # the loop has been woken, and has not come to it
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._settle)


def _run(call: Callable[[], T], future: asyncio.Future[T]) -> Settle | None:
    if future.done():
        return None
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 -- a thread's root: whoever waits for the future gets it
        return partial(_fail, future, error)
    return partial(_succeed, future, result)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
