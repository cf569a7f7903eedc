"""Decides which connection a call to libvirt uses, what a broken one means, and when to try again.

One connection carries the events.  Each call has a connection of its own while it lasts, taken from those that lie
idle, so that a call that hangs holds up nobody and its connection is never used again.  All methods are for the
asyncio loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import libvirt

from fencebus_agent.hypervisor import HypervisorUnreachable
from fencebus_agent.libvirt_driver import event_thread
from fencebus_agent.libvirt_driver.turnstile import Turnstile
from fencebus_agent.worker_threads import WorkerThreads
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import FencebusError

log = logging.getLogger(__name__)

T = TypeVar("T")

KEEPALIVE = (1, 3)  # seconds between two probes, probes without an answer: a silent daemon is given up after 4 s
OPEN_PATIENCE = 10.0  # seconds until another attempt is made beside one that hangs: open() has no limit of its own
HUNG_OPENS = 4  # attempts that may hang at once; then only one of them coming back helps
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two attempts to connect
CALLS = 32  # calls at once
QUESTIONS = 8  # questions at once; as many more as wait for PATIENCE seconds, for those before them may hang
PATIENCE = 0.1
IDLE = QUESTIONS  # connections kept for the next calls


class LinkEvents(Protocol):
    """Who is told about connections; ``connected`` runs in a worker thread, ``lost`` in the asyncio loop."""

    def connected(self, conn: libvirt.virConnect) -> Sequence[int]:
        """A new connection for events is open: register for them, learn what there is.  May raise libvirtError.

        Returns the numbers of the registrations: as long as they stand, a closed connection keeps its sockets.
        """

    def lost(self) -> None:
        """The connection for events broke; events may have been missed."""


class LinkLostError(FencebusError):
    """The connection broke while a call was on its way: it may have been carried out, or not."""

    def __str__(self) -> str:
        return "the connection broke while the call was on its way"


class Link:
    """The connections to one libvirt.

    uri: libvirt's.  owner: told about connections.  read_only: libvirt itself refuses whatever changes anything.
    """

    def __init__(self, uri: str, owner: LinkEvents, read_only: bool = False) -> None:
        self.uri = uri
        self._connect_to = libvirt.openReadOnly if read_only else libvirt.open
        self._owner = owner
        # The test driver gives every connection a world of its own: events and calls must share one.
        self._one_for_all = uri.startswith("test://")
        self._threads = WorkerThreads("libvirt", CALLS)
        self._questions = Turnstile(QUESTIONS, PATIENCE)
        self._idle: list[libvirt.virConnect] = []
        self._events: libvirt.virConnect | None = None
        self._registrations: Sequence[int] = ()
        self._ready = asyncio.Event()
        self._broken = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """Connect, and connect again whenever the connection breaks; returns only when cancelled."""
        event_thread.ensure_running()
        if self._events is not None:  # of a run before, which was cancelled: each event would be heard twice
            self._lose()
        pause = FIRST_PAUSE
        while True:
            self._broken.clear()
            try:
                await self._connect()
            except libvirt.libvirtError as error:
                self._drop()
                log.warning("%s: %s; next attempt in about %.1f s", self.uri, error, pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self._ready.set()
            log.info("%s: connected", self.uri)
            await self._broken.wait()
            self._lose()
            log.warning("%s: connection lost", self.uri)

    async def wait_ready(self, deadline: Deadline) -> None:
        """Return once connected.  Raises HypervisorUnreachable at the deadline."""
        if self._ready.is_set():
            return
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._ready.wait()
        except TimeoutError:
            raise HypervisorUnreachable(self.uri, "no connection until the deadline") from None

    async def call(self, ask: Callable[[libvirt.virConnect], T], deadline: Deadline) -> T:
        """Run ``ask`` on a connection, in a thread; again on a new one if the connection breaks.  For questions only.

        Raises HypervisorUnreachable at the deadline, else what ``ask`` raises.
        """
        while True:
            await self._questions.enter()
            try:
                return await self.call_once(ask, deadline)
            except LinkLostError:
                if deadline.expired:
                    raise HypervisorUnreachable(self.uri, "the connection broke") from None
            finally:
                self._questions.leave()
            await asyncio.sleep(min(FIRST_PAUSE, deadline.remaining()))

    async def call_once(self, act: Callable[[libvirt.virConnect], T], deadline: Deadline) -> T:
        """Run ``act`` at most once.  Raises LinkLostError if it may or may not have been carried out."""
        await self.wait_ready(deadline)
        future = self.begin(act)
        # A call that has not begun by then never does; one that hangs keeps its thread and its connection.
        limit = asyncio.get_running_loop().call_later(deadline.remaining(), _give_up, future)
        try:
            return await future
        except TimeoutError:
            raise HypervisorUnreachable(self.uri, "no answer until the deadline") from None
        finally:
            limit.cancel()

    def begin(self, act: Callable[[libvirt.virConnect], T]) -> asyncio.Future[T]:
        """Run ``act`` in a thread, and nobody waits: the future is the caller's.  Needs a connection to be ready."""
        return self._threads.submit(lambda: self._with_connection(act))

    async def settle_events(self, deadline: Deadline) -> bool:
        """Return when the events of what happened until now have been delivered; false if they cannot be heard.

        libvirtd queues an event and sends it a moment later; a question on the same connection is answered behind it.
        """
        await asyncio.sleep(min(0.02, deadline.remaining()))
        try:
            await self.drain_events(deadline)
        except HypervisorUnreachable as error:
            log.debug("%s", error)
            return False
        return True

    async def drain_events(self, deadline: Deadline) -> None:
        """Return when every event that libvirt had sent until now has been given to the loop.

        An answer on their connection comes behind them; what came with it goes through libvirt's thread, and then in
        order through the loop's queue.  Raises HypervisorUnreachable.
        """
        conn = self._events
        if conn is None:
            raise HypervisorUnreachable(self.uri, "the connection for events is lost")
        if not self._one_for_all:
            await self._answered(self._threads.submit(conn.getLibVersion), deadline)
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        event_thread.behind_events(lambda: _from_thread(loop, told.set))
        try:
            async with asyncio.timeout(deadline.remaining()):
                await told.wait()
        except TimeoutError:
            raise HypervisorUnreachable(self.uri, "its events are not delivered") from None

    async def _answered(self, question: asyncio.Future[int], deadline: Deadline) -> None:
        await asyncio.wait({question}, timeout=deadline.remaining())
        if not question.done():
            raise HypervisorUnreachable(self.uri, "the connection for events does not answer")
        if question.cancelled() or question.exception() is not None:
            raise HypervisorUnreachable(self.uri, "the connection for events broke")

    async def close(self) -> None:
        """Close every connection that is not in a call, and let the threads go."""
        self._closed = True
        self._drop()
        self._threads.close()
        await asyncio.sleep(0)

    # ---- the connection for events

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        conn = await self._open_patiently()
        self._events = conn
        conn.registerCloseCallback(lambda *_: _from_thread(loop, self._broken.set), None)
        self._registrations = await self._threads.submit(lambda: self._owner.connected(conn))
        if not conn.isAlive():
            self._broken.set()

    async def _open_patiently(self) -> libvirt.virConnect:
        hung: set[asyncio.Future[libvirt.virConnect]] = set()
        while True:
            if len(hung) < HUNG_OPENS:
                hung.add(self._threads.submit(self._open))
            limit = OPEN_PATIENCE if len(hung) < HUNG_OPENS else None
            try:
                done, hung = await asyncio.wait(hung, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                _close_when_open(hung)
                raise
            if done:
                _close_when_open(hung)
                first = done.pop()
                _close_when_open(done)
                return first.result()
            log.warning("%s: libvirt accepts no connection since %.0f s", self.uri, OPEN_PATIENCE)

    def _open(self) -> libvirt.virConnect:
        conn = self._connect_to(self.uri)
        with contextlib.suppress(libvirt.libvirtError):  # the test driver has no keepalive, and needs none
            conn.setKeepAlive(*KEEPALIVE)
        return conn

    def _lose(self) -> None:
        self._drop()
        self._owner.lost()

    def _drop(self) -> None:
        self._ready.clear()
        idle, self._idle = self._idle, []
        # Closing sends a goodbye, which blocks on a daemon that hangs.
        for conn in idle:
            self._threads.submit_unheeded(conn.close)
        if self._events is not None:
            farewell = partial(_leave, self._events, self._registrations)
            self._threads.submit_unheeded(farewell)
        self._events, self._registrations = None, ()

    # ---- the connections for calls; these run in worker threads (a list's append and pop are atomic)

    def _with_connection(self, act: Callable[[libvirt.virConnect], T]) -> T:
        if self._one_for_all:
            conn = self._events
            if conn is None:
                raise LinkLostError
            return act(conn)
        conn = self._take()
        try:
            result = act(conn)
        except libvirt.libvirtError as error:
            self._give_back(conn)
            if broke(error):
                raise LinkLostError from error
            raise
        except BaseException:
            self._give_back(conn)
            raise
        self._give_back(conn)
        return result

    def _take(self) -> libvirt.virConnect:
        while True:
            try:
                conn = self._idle.pop()
            except IndexError:
                break
            if conn.isAlive():
                return conn
            conn.close()
        try:
            return self._open()
        except libvirt.libvirtError as error:
            raise LinkLostError from error

    def _give_back(self, conn: libvirt.virConnect) -> None:
        if not self._closed and len(self._idle) < IDLE and conn.isAlive():
            self._idle.append(conn)
        else:
            conn.close()


def _give_up(future: asyncio.Future[T]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def broke(error: libvirt.libvirtError) -> bool:
    """Say whether the error is about the connection, not about what was asked (facts: libvirt 5, 7)."""
    return error.get_error_domain() == libvirt.VIR_FROM_RPC


def _leave(conn: libvirt.virConnect, registrations: Sequence[int]) -> None:
    for number in registrations:
        with contextlib.suppress(libvirt.libvirtError):  # the connection is broken: what matters is this side
            conn.domainEventDeregisterAny(number)
    with contextlib.suppress(libvirt.libvirtError):
        conn.unregisterCloseCallback()
    with contextlib.suppress(libvirt.libvirtError):
        conn.close()


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        loop.call_soon_threadsafe(call)


def _close_when_open(attempts: set[asyncio.Future[libvirt.virConnect]]) -> None:
    for attempt in attempts:
        attempt.add_done_callback(_close_late)


def _close_late(attempt: asyncio.Future[libvirt.virConnect]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
