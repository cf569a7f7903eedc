"""Serves guests that connect to a stream socket and send a signed request: what TCP and vsock have in common.

Wire: facts, fence-virt 2.3 and 2.5.  Each connection has a task of its own, so that idle, slow and silent peers delay
nobody.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fencebus_host.door import Door, fence_request
from fencebus_host.listeners.accepting import Accepting
from fencebus_host.listeners.connection import Stream
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.seats import Seats
from fencebus_host.listeners.session import Handshake, answer
from fencebus_host.ports import Handle
from fencebus_schemas.deadline import boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Source
from fencebus_schemas.xvm import REQUEST_LENGTH

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
"""How long a peer may take to send its 176 bytes; C allows 1 s, during which it serves nobody else."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Reception:
    """What every listener for signed requests needs beside its socket."""

    door: Door
    handshake: Handshake
    refusals: Refusals
    patience: float
    """Seconds from receipt to answer (S9)."""


class Wire(Protocol):
    """The kind of socket: how it is opened, and who is at its other end."""

    async def open(self) -> Sequence[socket.socket]:
        """Bind the sockets to listen on; raises OSError."""

    def peer(self, stream: Stream) -> str:
        """The peer's address as logs and policy show it; empty if it has left already."""

    async def source(self, peer: str) -> Source:
        """Who asks; raises WireError if nobody may ask from there."""


class StreamListener:
    """One listening stream socket."""

    def __init__(self, name: str, wire: Wire, reception: Reception) -> None:
        self._wire = wire
        self._reception = reception
        self._seats = Seats()
        self._tasks: set[asyncio.Task[None]] = set()
        self.name = name

    def renew(self, reception: Reception) -> None:
        """Go on with other keys, hashes or patience; what is being served keeps those it began with."""
        self._reception = reception

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled; raises OSError if the socket cannot be opened."""
        try:
            sockets = await self._wire.open()
        except OSError as error:
            raise OSError(error.errno, f"{self._wire}: {error.strerror or error}") from error
        accepting = Accepting(sockets, lambda connected: self._accepted(Stream(connected), handle))
        try:
            accepting.begin(BACKLOG)
            log.info("listener=%s ready on %s", self.name, self._wire)
            ready()
            await asyncio.get_running_loop().create_future()
        finally:
            accepting.close()

    def _accepted(self, stream: Stream, handle: Handle) -> None:
        task = asyncio.create_task(self._serve_peer(stream, handle))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_peer(self, stream: Stream, handle: Handle) -> None:
        peer = self._wire.peer(stream)
        evicted = self._seats.take(peer, stream, stream.abort)
        if evicted:
            self._reception.refusals.tell(self.name, evicted, WireError("crowded", "too many peers that say nothing"))
        try:
            await self._exchange(stream, peer, handle)
        except WireError as error:
            self._reception.refusals.tell(self.name, peer, error)
        finally:
            self._seats.give_up(peer, stream)
            stream.close()

    async def _exchange(self, stream: Stream, peer: str, handle: Handle) -> None:
        reception = self._reception
        data = await stream.read(REQUEST_LENGTH, REQUEST_SECONDS)
        received_at = boottime()
        admitted = reception.door.admit(data, peer)
        log.debug("listener=%s source=%s received %s", self.name, peer, admitted.wire)
        await reception.handshake.perform(stream, admitted.key)
        self._seats.give_up(peer, stream)
        source = await self._wire.source(peer)
        await answer(stream, handle, fence_request(admitted, source, self.name, reception.patience, received_at))
