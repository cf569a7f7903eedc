"""The TCP listener: a guest connects, sends its signed request, both sides authenticate, it is answered.

Wire: facts, fence-virt 2.3 and 2.5.  Each connection has a task of its own, so that idle, slow and silent peers delay
nobody.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from fencebus_host.config.model import Family, TcpSettings
from fencebus_host.door import Door, fence_request
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.seats import Seats
from fencebus_host.listeners.session import Handshake, Stream, answer
from fencebus_host.locality import GuestLocator
from fencebus_host.ports import Handle
from fencebus_schemas.deadline import boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Action, Source
from fencebus_schemas.xvm import REQUEST_LENGTH

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
"""How long a peer may take to send its 176 bytes; C allows 1 s, during which it serves nobody else."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Reception:
    """What a listener on a stream socket needs beside its socket."""

    door: Door
    handshake: Handshake
    locator: GuestLocator
    refusals: Refusals
    patience: float
    """Seconds from receipt to answer (S9)."""


class TcpListener:
    """One listening TCP socket."""

    def __init__(self, settings: TcpSettings, reception: Reception) -> None:
        self._settings = settings
        self._reception = reception
        self._seats = Seats()
        self.name = settings.name

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled; raises OSError if the address cannot be bound."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve_peer(Stream(reader, writer), handle)

        settings = self._settings
        family = socket.AF_INET if settings.family is Family.IPV4 else socket.AF_INET6
        server = await asyncio.start_server(
            connected, settings.address, settings.port, family=family, backlog=BACKLOG, reuse_address=True
        )
        log.info("listener=%s ready on %s port %d", self.name, settings.address, settings.port)
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()

    async def _serve_peer(self, stream: Stream, handle: Handle) -> None:
        address = peer_address(stream)
        evicted = self._seats.take(address, stream, stream.abort)
        if evicted:
            self._reception.refusals.tell(self.name, evicted, WireError("crowded", "too many peers that say nothing"))
        try:
            await self._exchange(stream, address, handle)
        except WireError as error:
            self._reception.refusals.tell(self.name, address, error)
        finally:
            self._seats.give_up(address, stream)
            stream.writer.close()

    async def _exchange(self, stream: Stream, address: str, handle: Handle) -> None:
        reception = self._reception
        data = await stream.read(REQUEST_LENGTH, REQUEST_SECONDS)
        received_at = boottime()
        admitted = reception.door.admit(data, address)
        log.debug("listener=%s source=%s received %s", self.name, address, admitted.wire)
        await reception.handshake.perform(stream, admitted.key)
        self._seats.give_up(address, stream)
        source = source_of(address, admitted.action, reception.locator)
        await answer(stream, handle, fence_request(admitted, source, self.name, reception.patience, received_at))


def peer_address(stream: Stream) -> str:
    """The peer's numeric address without zone and port; empty if it has left already."""
    peer = stream.writer.get_extra_info("peername")
    return str(peer[0]).split("%", 1)[0] if peer else ""


def source_of(address: str, action: Action, locator: GuestLocator) -> Source:
    """Who asks: the address, and for a power action the guest behind it, whose requests die with it (S16)."""
    if not action.changes:
        return Source(address)
    try:
        return Source(address, locator.locate(address).vm)
    except OSError as error:
        log.warning("source=%s cannot be looked up among the neighbours: %s", address, error)
        return Source(address)
