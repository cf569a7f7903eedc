"""Carries the hosts' messages over a corosync group: every message comes to all members, in one order.

Corosync's descriptors are watched by the asyncio loop; what may wait for corosync (to join, to leave) is done in a
thread of its own.  A connection that is lost is made again for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from fencebus_agent.worker_threads import WorkerThreads
from fencebus_host.complaints import Complaints
from fencebus_host.routers.checkpoint.connection import Connect, Connection, connect
from fencebus_host.routers.checkpoint.fragments import Assembly
from fencebus_host.routers.checkpoint.happenings import Changed, Delivered
from fencebus_host.routers.checkpoint.libcorosync import CorosyncError
from fencebus_host.routers.checkpoint.outbox import Outbox
from fencebus_host.routers.checkpoint.roll import Roll
from fencebus_host.routers.checkpoint.secret import SecretError
from fencebus_host.routers.federated.carrier import Link
from fencebus_host.routers.federated.urgency import INDICATIONS, patience_of
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import Message
from fencebus_schemas.peer_codec import decode, encode

log = logging.getLogger(__name__)

PACKET = 32 << 10
"""Bytes given to the group at once: a command has to wait for one of them at most, and corosync takes 1 MB."""
AT_ONCE = 64
"""Events dispatched before the loop serves others."""
BUSY = 0.005
"""Seconds after which what corosync did not take is offered again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
LEAVING = 2.0
"""Seconds for which a daemon that stops waits for corosync to let it leave."""


class Observer(Protocol):
    """Is told what corosync knows of the cluster."""

    def departed(self, host: HostId) -> None:
        """Nobody in the group speaks for the host any more.  That it is dead is not said (S13)."""

    def quorum(self, stands: bool) -> None:
        """Whether this host's part of the cluster has the majority."""


class GroupCarrier:
    """Implements ``Carrier`` over a corosync group."""

    def __init__(self, me: HostId, keys: Sequence[bytes], clock: Clock = boottime, connect: Connect = connect) -> None:
        """``keys``: the first signs, all verify.  Without any, what the cluster's nodes have in common is the key."""
        self._me, self._configured, self._clock, self._connect = me, tuple(keys), clock, connect
        self._secret = b""
        self._assembly, self._outbox, self._roll = Assembly(me), Outbox(), Roll()
        self._complaints = Complaints()
        self._observers: list[Observer] = []
        self._quorum = False
        self._open: Connection | None = None
        self._lost: asyncio.Future[CorosyncError] | None = None
        self._again: asyncio.Handle | None = None
        self.trouble: str | None = "not connected to corosync yet"
        """What is wrong with the cluster, for people; ``None`` if nothing is."""

    @property
    def _keys(self) -> tuple[bytes, ...]:
        return self._configured or (self._secret,)

    @property
    def link(self) -> Link:
        """Corosync, which counts the nodes."""
        return Link("corosync", self._open is not None, self._quorum)

    def renew(self, keys: Sequence[bytes]) -> None:
        """Sign with the first of these keys, and believe all of them, from now on."""
        self._configured = tuple(keys)

    def watch(self, observer: Observer) -> None:
        """Tell ``observer`` what corosync says, from now on; at the beginning there is no quorum."""
        self._observers.append(observer)
        observer.quorum(self._quorum)

    async def run(self, receive: Callable[[Message], None], connected: Callable[[], None]) -> None:
        """Be in the group, and join it again whenever corosync comes back."""
        self._receive, self._connected = receive, connected
        threads = WorkerThreads("corosync", limit=2)
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    connection = await self._joined(threads)
                except (CorosyncError, SecretError) as error:
                    self._troubled(str(error))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    pause = FIRST_PAUSE
                    await self._serve(connection, threads)
        finally:
            threads.close()

    def send(self, message: Message) -> None:
        """Give it to the group, now or as soon as corosync takes it; lost if this host is not in the group."""
        connection = self._open
        if connection is None or connection.group.me not in self._roll.members:
            return
        try:
            body = encode(message, self._keys)
        except WireError as error:
            log.warning("a %s for %s was not sent: %s", type(message).__name__, message.to or "all", error)
            return
        until = self._clock() + patience_of(message)
        is_command = not isinstance(message, INDICATIONS)
        if not self._outbox.put(body, message.to, until, is_command, PACKET):
            self._complain("corosync", "full", "corosync takes nothing, and there is no room to wait for it")
        if self._again is None:
            # Not at once: what a fence has to tell all members goes as one packet, and wakes every daemon once.
            self._again = asyncio.get_running_loop().call_soon(self._offer_again)

    # -- while connected ----------

    async def _joined(self, threads: WorkerThreads) -> Connection:
        """A connection; one that comes when nobody waits for it any more is given back."""
        joining = threads.submit(self._connect)
        try:
            return await asyncio.shield(joining)
        except asyncio.CancelledError:
            joining.add_done_callback(_give_back)
            raise

    async def _serve(self, connection: Connection, threads: WorkerThreads) -> None:
        loop = asyncio.get_running_loop()
        self._open, self._lost, self._secret = connection, loop.create_future(), connection.secret
        descriptors = (connection.group.fileno(), connection.quorum.fileno())
        loop.add_reader(descriptors[0], self._group_ready)
        loop.add_reader(descriptors[1], self._quorum_ready)
        try:
            # What came while the thread was still joining made no descriptor readable that anybody watched.
            self._quorum_ready()
            self._group_ready()
            error = await self._lost
            self._troubled(str(error))
        finally:
            for descriptor in descriptors:
                loop.remove_reader(descriptor)
            self._disconnected()
            closing = threads.submit(connection.close)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVING):
                    await asyncio.shield(closing)

    def _group_ready(self) -> None:
        assert self._open is not None
        try:
            happened = self._open.group.dispatch(AT_ONCE)
        except CorosyncError as error:
            self._lose(error)
            return
        for event in happened:
            if isinstance(event, Changed):
                self._changed(event)
            elif event.sender != self._open.group.me:
                self._delivered(event)
            else:
                self._outbox.came_back(event.payload)
        self._flush()

    def _quorum_ready(self) -> None:
        assert self._open is not None
        try:
            stands = self._open.quorum.dispatch()
        except CorosyncError as error:
            self._lose(error)
            return
        self._set_quorum(stands)
        self.trouble = None if stands else self._why_no_quorum(self._open)

    def _why_no_quorum(self, connection: Connection) -> str:
        if connection.quorum.is_counted:
            return "this part of the cluster has no quorum"
        return "corosync has no quorum provider: nothing of other hosts can be declared off"

    def _changed(self, event: Changed) -> None:
        for peer in event.left:
            self._assembly.forget(peer)
        ended = self._roll.hosts_of(event.ended)
        for host in self._roll.changed(event):
            why = "its daemon has ended, its node has not" if host in ended else "its node has left the cluster"
            log.warning("%s has left the group: %s; its VMs may still run", host, why)
            self._tell_departed(host)
        if event.joined:
            self._connected()

    def _delivered(self, event: Delivered) -> None:
        try:
            messages = [decode(whole, self._keys) for whole in self._assembly.add(event.sender, event.payload)]
        except WireError as error:
            # Whoever speaks in the group without the key is refused like a stranger at the door (S11).
            self._complain(f"node {event.sender.node}", error.code, f"a message in the group was dropped: {error}")
            return
        for message in messages:
            self._roll.spoke(event.sender, message.sender)
            self._receive(message)

    # -- sending ----------

    def _flush(self) -> None:
        connection = self._open
        if connection is None or self._again is not None:
            return
        while packet := self._outbox.next(self._clock(), PACKET):
            try:
                taken = connection.group.send(packet)
            except CorosyncError as error:
                self._lose(error)
                return
            if not taken:
                self._again = asyncio.get_running_loop().call_later(BUSY, self._offer_again)
                return
            self._outbox.took(packet)

    def _offer_again(self) -> None:
        self._again = None
        self._flush()

    # -- losing ----------

    def _lose(self, error: CorosyncError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    def _disconnected(self) -> None:
        self._open = None
        self._outbox.clear()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._set_quorum(False)
        for host in self._roll.all_gone():
            self._tell_departed(host)

    def _set_quorum(self, stands: bool) -> None:
        if stands == self._quorum:
            return
        self._quorum = stands
        log.log(logging.INFO if stands else logging.WARNING, "corosync: %s", "quorum" if stands else "no quorum")
        for observer in self._observers:
            observer.quorum(stands)

    def _tell_departed(self, host: HostId) -> None:
        for observer in self._observers:
            observer.departed(host)

    def _troubled(self, trouble: str) -> None:
        self.trouble = trouble
        self._complain("corosync", trouble, f"not in the hosts' group: {trouble}")

    def _complain(self, source: str, code: str, text: str) -> None:
        held_back = self._complaints.worth_a_line(source, code)
        if held_back is not None:
            log.warning("%s (and %d times before it)", text, held_back)


def _give_back(joining: asyncio.Future[Connection]) -> None:
    if not joining.cancelled() and joining.exception() is None:
        joining.result().close()
