"""PeersBus converts the Bus port into direct AMQP 1.0 links between a few hosts, without a broker.

Each host connects to every other one to hear it, and lets every other one in to be heard: a host is the broker of its
own words.  What goes to an address goes down each link whose binding covers it, and to this host's own sinks.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fencebus_agent.bus import (
    Address,
    BusClosed,
    BusCongested,
    BusError,
    BusMessage,
    BusRefused,
    BusState,
    BusUnreachable,
    MessageSink,
    Priority,
    StateSink,
    direct_exchange,
)
from fencebus_agent.bus_terms import DEFAULTS, Terms
from fencebus_agent.flaws import UNSIGNED, refuse_flawed
from fencebus_agent.memory_broker import DIRECT_EXCHANGES, QMF_EXCHANGE
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.patience import set_by
from fencebus_agent.peers_call import Call, Mouth
from fencebus_agent.peers_door import Door
from fencebus_agent.peers_presence import Presence
from fencebus_agent.peers_trust import ByCertificate, ByKey, Trust
from fencebus_agent.peers_url import find, parse
from fencebus_agent.promises import Promises
from fencebus_agent.sinks import Sinks
from fencebus_schemas.bus_url import BadBusUrl
from fencebus_schemas.deadline import Deadline


class PeersBus:
    """The Bus port.  ``host`` is this host's id, which the URL has to name; raises BadBusUrl.

    With a certificate in ``terms`` hosts know each other by certificates, else by ``keys``: the first signs, all
    verify.
    """

    def __init__(self, url: str, host: str, keys: Sequence[bytes] = (), terms: Terms = DEFAULTS) -> None:
        peers = parse(url)
        self._me = find(peers, host)
        self._keys = list(keys)
        self._trust = _trust(terms, self._keys)
        self.name: Final = "peers://" + ",".join(map(str, peers))
        """The list of hosts."""
        key = f"{terms.client}-{self._me.name}-{secrets.token_hex(8)}"
        self.own: Final = Address(direct_exchange(terms.domain), key)
        """A key of the direct exchange, drawn at random."""
        self.dropped = 0
        """See the port; each host that missed one counts."""
        self._sinks, self._promises = Sinks(), Promises()
        self._presence = Presence(self._changed)
        others = tuple(peer for peer in peers if peer != self._me)
        mouth = Mouth(self._wanted, self._sinks.hand, self._presence.heard, self._presence.unheard)
        self._calls = tuple(Call(self._me, peer, self._trust, terms, mouth) for peer in others)
        known = frozenset(peer.name for peer in others)
        self._door = Door(self._me, known, self._trust, terms, self._presence.hears, self._presence.deaf, self._settled)
        self._ending = asyncio.Event()
        self._closed = False

    def renew(self, keys: Sequence[bytes]) -> None:
        """See ``bus.Renewable``; links that stand go on."""
        self._keys[:] = keys

    async def run(self) -> None:
        """See the port."""
        if self._closed:
            return
        parts = (self._door.run(), *(call.run() for call in self._calls), self._ending.wait())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._door.leave()

    async def wait_connected(self, deadline: Deadline) -> None:
        """See the port: to any of the other hosts, both ways."""
        if not await set_by(self._presence.somebody, deadline):
            why = self._door.trouble or self._presence.trouble
            raise BusUnreachable(self.name, f"no other host until the deadline: {why}")

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """See the port."""
        self._sinks.add(address, sink)
        for call in self._calls:
            call.bind()

    def watch(self, sink: StateSink) -> None:
        """See the port.  CONNECTED comes anew for each further host: it has heard nothing so far."""
        self._sinks.watch(sink)

    async def send(self, to: Address, message: BusMessage, deadline: Deadline, priority: Priority) -> None:
        """See the port.  A command has been taken once every host has taken it that wants it."""
        self._check(to, message)
        if priority is Priority.INDICATION:
            self._indicate(to, message, deadline)
        elif deadline.expired:
            raise BusUnreachable(self.name, "the deadline had passed: nothing was sent")
        else:
            await self.wait_connected(deadline)
            self._hear_oneself(to, message)
            await self._command(to, message, deadline)

    async def close(self) -> None:
        """See the port."""
        self._closed = True
        self._promises.break_all(BusClosed(self.name, "closed"))
        self._sinks.close()
        self._ending.set()
        await self._door.leave()

    # ---- inside

    def _wanted(self) -> tuple[Address, ...]:
        return tuple(dict.fromkeys((self.own, *self._sinks.bindings)))

    def _check(self, to: Address, message: BusMessage) -> None:
        if self._closed:
            raise BusClosed(self.name, "closed")
        refuse_flawed(self.name, to, message, (self._me.name,), UNSIGNED)
        if to.exchange not in DIRECT_EXCHANGES and not QMF_EXCHANGE.fullmatch(to.exchange):
            raise BusRefused(self.name, f"no exchange {to.exchange!r}")

    def _hear_oneself(self, to: Address, message: BusMessage) -> None:
        self._sinks.spread(replace(message, to=to, user_id=self._me.name if self._trust.vouches else ""))

    def _indicate(self, to: Address, message: BusMessage, deadline: Deadline) -> None:
        if not self._presence.somebody.is_set():
            self.dropped += 1
            return
        self._hear_oneself(to, message)
        for audience in self._door.wanting(to):
            for box in audience.boxes(to):
                parcel = Parcel(to, message, deadline, Priority.INDICATION, None)
                self.dropped += audience.stalled or not box.put(parcel)
            audience.push()

    async def _command(self, to: Address, message: BusMessage, deadline: Deadline) -> None:
        loop = asyncio.get_running_loop()
        waiting: list[tuple[str, Outbox, Parcel]] = []
        for audience in self._door.wanting(to):
            for box in audience.boxes(to):
                parcel = Parcel(to, message, deadline, Priority.COMMAND, loop.create_future())
                box.put(parcel)
                waiting.append((audience.name, box, parcel))
            audience.push()
        results = await asyncio.gather(*(self._taken(*each) for each in waiting))
        if (error := next((result for result in results if result is not None), None)) is not None:
            raise error

    async def _taken(self, name: str, box: Outbox, parcel: Parcel) -> BusError | None:
        """What went wrong with one host; ``None`` if it has it."""
        try:
            fate = await self._promises.kept(box, parcel)
        except BusError as error:
            return error
        late = f"{name} has not taken it until the deadline"
        return None if fate is None else BusCongested(self.name, f"{late} ({fate.value})")

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        self.dropped += self._promises.settle(parcel, error)

    def _changed(self, state: BusState, reason: str) -> None:
        if not self._closed:  # whoever leaves knows it
            self._sinks.tell(state, reason)


def _trust(terms: Terms, keys: Sequence[bytes]) -> Trust:
    if terms.tls.cert_file is not None:
        return ByCertificate(terms.tls)
    if not keys or not all(keys):
        raise BadBusUrl(1, "peers need a certificate, or a key that all hosts share")
    return ByKey(keys)
