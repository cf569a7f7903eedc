"""Call keeps one link alive over which one other host is heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from fencebus_agent.amqp1_engine import Greeting
from fencebus_agent.amqp1_link import BrokerLink, Hooks
from fencebus_agent.amqp1_profile import Peer as PeerProfile
from fencebus_agent.amqp1_speaking import Boxes
from fencebus_agent.bus import Address, BusError, BusMessage
from fencebus_agent.bus_terms import Terms
from fencebus_agent.outbox import Parcel
from fencebus_agent.pauses import SOUND, pauses
from fencebus_agent.peers_trust import Trust
from fencebus_agent.peers_url import Peer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mouth:
    """Who is told of what one host says."""

    wanted: Callable[[], tuple[Address, ...]]
    """What is to be heard."""
    arrived: Callable[[Address, BusMessage], None]
    heard: Callable[[str], None]
    """The host of that name can be heard from now on."""
    unheard: Callable[[str, str], None]
    """Not any more, or still not; the reason is for people."""


class Call:
    """``run`` until cancelled."""

    def __init__(self, me: Peer, them: Peer, trust: Trust, terms: Terms, mouth: Mouth) -> None:
        self._me, self._them, self._trust, self._terms, self._mouth = me, them, trust, terms, mouth
        self._link: BrokerLink | None = None
        self._refusal = ""

    def bind(self) -> None:
        """More is wanted."""
        if self._link is not None:
            self._link.bind()

    async def run(self) -> None:
        """Connect, hear, heal."""
        loop = asyncio.get_running_loop()
        waits = pauses()
        while True:
            began = loop.time()
            try:
                await self._hear()
            except (BusError, OSError, TimeoutError) as error:
                reason = self._refusal or " ".join(str(error).split()) or "no answer in time"
                self._mouth.unheard(self._them.name, reason)
            if loop.time() - began > SOUND + self._terms.connect_timeout:
                waits = pauses()
            await asyncio.sleep(next(waits))

    async def _hear(self) -> None:
        """One connection, from its making to its end; raises BusUnreachable at its end."""
        self._refusal = ""
        greeting = Greeting(self._me.name, self._them.name, silence=2 * self._terms.heartbeat)
        hooks = Hooks(self._arrived, _nothing_sent, self._lost)
        link = BrokerLink(str(self._them), greeting, self._mouth.wanted, Boxes(), hooks, PeerProfile())
        socket: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._terms.connect_timeout):
                socket = await self._connect(link)
                await link.ready
            self._link = link
            self._mouth.heard(self._them.name)
            await asyncio.shield(link.lost)
        finally:
            self._link = None
            link.ready.cancel()
            try:
                await link.leave()
            finally:
                if socket is not None:  # it may not have come to the engine
                    socket.abort()

    async def _connect(self, link: BrokerLink) -> asyncio.Transport:
        factory, context = self._trust.call(self._me.name, self._them.name, link.engine, self._refused(link))
        socket, _ = await asyncio.get_running_loop().create_connection(
            factory,
            self._them.host,
            self._them.port,
            ssl=context,
            server_hostname=self._them.name if context else None,
        )
        return socket

    def _refused(self, link: BrokerLink) -> Callable[[str], None]:
        def refused(reason: str) -> None:
            self._refusal = reason
            link.on_lost(reason)

        return refused

    def _lost(self, reason: str) -> None:
        if self._link is not None:
            self._link = None
            self._mouth.unheard(self._them.name, reason)

    def _arrived(self, binding: Address, message: BusMessage) -> None:
        """Who speaks is known from the connection, where that is protected."""
        self._mouth.arrived(binding, replace(message, user_id=self._them.name if self._trust.vouches else ""))


def _nothing_sent(_parcel: Parcel, _error: BusError | None) -> None:
    """A link on which one hears has nothing to settle."""
