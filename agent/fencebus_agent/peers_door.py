"""Door lets those in who want to hear this host, one connection for each."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable

from fencebus_agent.amqp1_engine import Engine, Greeting
from fencebus_agent.amqp1_link import FAREWELL
from fencebus_agent.bus import Address, BusError
from fencebus_agent.bus_terms import Terms
from fencebus_agent.outbox import Parcel
from fencebus_agent.pauses import pauses
from fencebus_agent.peers_audience import Audience, Ears
from fencebus_agent.peers_gate import PATIENCE
from fencebus_agent.peers_trust import Trust
from fencebus_agent.peers_url import Peer

log = logging.getLogger(__name__)

QUIET = 60.0
"""Seconds in which strangers who are turned away for the same reason are told of once."""


class Door:
    """``run`` until cancelled.  ``present`` and ``gone`` are told of the hosts that listen, by their names."""

    def __init__(
        self,
        me: Peer,
        known: frozenset[str],
        trust: Trust,
        terms: Terms,
        present: Callable[[str], None],
        gone: Callable[[str, str], None],
        settle: Callable[[Parcel, BusError | None], None],
    ) -> None:
        self._me, self._known, self._trust, self._terms = me, known, trust, terms
        self._present, self._gone = present, gone
        self._ears = Ears(self._came, self._went, settle)
        self._audiences: dict[str, Audience] = {}
        self._connections: set[Audience] = set()
        self._told: dict[str, float] = {}
        self.trouble = ""

    @property
    def audiences(self) -> tuple[Audience, ...]:
        """Those who listen."""
        return tuple(self._audiences.values())

    def wanting(self, to: Address) -> list[Audience]:
        """Those who want what goes there."""
        return [audience for audience in self.audiences if audience.boxes(to)]

    async def run(self) -> None:
        """Listen, as soon as the port is free."""
        waits = pauses()
        while True:
            try:
                server = await self._server()
            except OSError as error:  # an ssl.SSLError is one, too
                self._fail(f"cannot listen as {self._me}: {error}")
                await asyncio.sleep(next(waits))
                continue
            self.trouble = ""
            async with server:
                await server.serve_forever()

    async def leave(self) -> None:
        """Send everybody away."""
        await asyncio.gather(*(each.engine.leave(FAREWELL) for each in tuple(self._connections)))

    async def _server(self) -> asyncio.Server:
        factory, context = self._trust.door(self._me.name, self._known, self._admit, self._refuse)
        return await asyncio.get_running_loop().create_server(
            factory,
            _address(self._me.host),
            self._me.port,
            ssl=context,
            ssl_handshake_timeout=PATIENCE if context else None,
        )

    def _admit(self, name: str) -> Engine:
        greeting = Greeting(self._me.name, silence=2 * self._terms.heartbeat)
        audience = Audience(name, greeting, self._ears)
        self._connections.add(audience)
        return audience.engine

    def _refuse(self, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told.get(reason, -QUIET) >= QUIET:
            self._told = {reason: now}
            log.warning("somebody at %s was turned away: %s", self._me, reason)

    def _came(self, audience: Audience) -> None:
        before = self._audiences.pop(audience.name, None)
        self._audiences[audience.name] = audience
        if before is not None:
            before.engine.drop("it has come anew")
        self._present(audience.name)

    def _went(self, audience: Audience, reason: str) -> None:
        self._connections.discard(audience)
        if self._audiences.get(audience.name) is audience:
            del self._audiences[audience.name]
            self._gone(audience.name, reason)

    def _fail(self, reason: str) -> None:
        if reason != self.trouble:
            log.warning("%s", reason)
        self.trouble = reason


def _address(host: str) -> str | None:
    """Where to listen: at an address if the list has one; at all of them for a name, as that may lead elsewhere here
    than it does from other hosts (Debian's 127.0.1.1).
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
