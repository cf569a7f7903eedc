"""The TCP socket of a stream listener: its peers are IP addresses, and perhaps guests of this host."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from fencebus_host.config.model import Family, TcpSettings
from fencebus_host.listeners.connection import Stream
from fencebus_host.locality import GuestLocator
from fencebus_schemas.model import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TcpWire:
    """Implements ``stream.Wire``."""

    settings: TcpSettings
    locator: GuestLocator

    def __str__(self) -> str:
        return f"{self.settings.address} port {self.settings.port}"

    async def open(self) -> Sequence[socket.socket]:
        """Bind to the address, or to each that the host name has; raises OSError."""
        settings = self.settings
        family = socket.AF_INET if settings.family is Family.IPV4 else socket.AF_INET6
        places = await asyncio.get_running_loop().getaddrinfo(
            settings.address, settings.port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with contextlib.ExitStack() as half_done:
            bound = [half_done.enter_context(_bound(family, place)) for place in {place[4]: None for place in places}]
            half_done.pop_all()
            return bound

    def peer(self, stream: Stream) -> str:
        """The numeric address without zone and port."""
        peer = stream.peername
        return str(peer[0]).split("%", 1)[0] if peer else ""

    async def source(self, peer: str) -> Source:
        """The address and the guest behind it, whose requests die with it (S16)."""
        try:
            return Source(peer, self.locator.locate(peer).vm)
        except OSError as error:
            log.warning("source=%s cannot be looked up among the neighbours: %s", peer, error)
            return Source(peer)


def _bound(family: socket.AddressFamily, place: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    return bound
