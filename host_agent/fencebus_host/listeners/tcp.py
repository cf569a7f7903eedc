"""The TCP socket of a stream listener: its peers are IP addresses, and perhaps guests of this host."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass

from fencebus_host.config.model import Family, TcpSettings
from fencebus_host.listeners.connection import Stream
from fencebus_host.listeners.stream import BACKLOG, Accepted
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

    async def open(self, accepted: Accepted) -> asyncio.Server:
        """Bind and listen; raises OSError."""
        family = socket.AF_INET if self.settings.family is Family.IPV4 else socket.AF_INET6
        return await asyncio.get_running_loop().create_server(
            lambda: Stream(accepted),
            self.settings.address,
            self.settings.port,
            family=family,
            backlog=BACKLOG,
            reuse_address=True,
        )

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
