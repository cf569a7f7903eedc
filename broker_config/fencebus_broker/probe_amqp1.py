"""Goes to brokers of AMQP 1.0 as a host does, step by step; what it finds is what a host will find.

With the agent's own links, one connection at a time; the bus around them would heal what breaks, and here each step is
to fail by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterator, Sequence
from typing import TypeVar

from fencebus_agent.bus import Address, BusMessage, direct_exchange, topic_exchange
from fencebus_broker.amqp1_reasons import REFUSED, Refused, vouching
from fencebus_broker.amqp1_stages import StagedLink
from fencebus_broker.findings import Finding
from fencebus_broker.visiting import ECHO, SECONDS, visited
from fencebus_schemas.bus_url import Broker, Tls

LIFETIME = 10.0
"""Seconds that a broker keeps what was sent."""
_T = TypeVar("_T")


class Amqp1Visit:
    """See Visit.  Its loop runs only while a step does."""

    def __init__(self, place: Broker, tls: Tls, domain: str, runner: asyncio.Runner) -> None:
        self.place = place
        self._tls, self._domain, self._runner = tls, domain, runner
        self.key = f"fencebus-{secrets.token_hex(8)}"
        self.heard: dict[bytes, str] = {}
        """What came, and whom the broker vouches for as its sender."""
        self._news = asyncio.Event()
        self._link: StagedLink | None = None

    def log_in(self) -> str:
        """See Visit."""
        return self._do(self._opened())

    def look(self) -> str:
        """See Visit."""
        self._do(self._there.find_exchanges(SECONDS))
        return f"{topic_exchange(self._domain)}, {direct_exchange(self._domain)}"

    def bind(self) -> str:
        """See Visit."""
        self._do(self._there.bind_own(SECONDS))
        return ""

    def vouched(self) -> str:
        """See Visit."""
        assert self._there.kind is not None
        return vouching(self.heard[ECHO], self._there.kind)

    def may_send(self) -> bool:
        """See Visit."""
        try:
            self.send(f"nobody-{self.key}", b"")
        except Refused as error:
            if error.reply_code == REFUSED:
                return False
            raise
        return True

    def send(self, key: str, body: bytes) -> None:
        """See Visit."""
        to = Address(direct_exchange(self._domain), key)
        self._do(self._there.send(to, BusMessage(body, ttl=LIFETIME), SECONDS))

    def wait_for(self, body: bytes, seconds: float) -> bool:
        """See Visit."""
        return self._do(self._comes(body, seconds))

    def leave(self) -> None:
        """See Visit."""
        if self._link is not None:
            self._do(self._link.leave())

    # ---- inside

    async def _opened(self) -> str:
        self._link = StagedLink(self.place, self._tls, self._domain, self.key, self._hear)
        return await self._link.log_in(SECONDS)

    @property
    def _there(self) -> StagedLink:
        assert self._link is not None
        return self._link

    def _do(self, step: Coroutine[None, None, _T]) -> _T:
        return self._runner.run(step)

    async def _comes(self, body: bytes, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while body not in self.heard:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _hear(self, _binding: Address, message: BusMessage) -> None:
        self.heard[message.body] = message.user_id
        self._news.set()


def probe(places: Sequence[Broker], tls: Tls, domain: str) -> Iterator[Finding]:
    """What is to be said of each broker, and of them all together."""
    with asyncio.Runner() as runner:
        yield from visited([Amqp1Visit(place, tls, domain, runner) for place in places], tls)
