"""StagedLink converts the agent's link to a broker of AMQP 1.0, which does all at once, into steps."""

from __future__ import annotations

import asyncio
import secrets
from typing import TypeVar

from proton import Connection, Receiver, Sender

from fencebus_agent.amqp1_engine import is_attached
from fencebus_agent.amqp1_hearing import Arrived
from fencebus_agent.amqp1_link import BrokerLink, Hooks
from fencebus_agent.amqp1_login import greeting_of
from fencebus_agent.amqp1_profile import Profile, profile_of
from fencebus_agent.amqp1_speaking import Boxes
from fencebus_agent.bus import Address, BusError, BusMessage, Priority, direct_exchange, topic_exchange
from fencebus_agent.bus_tls import context_of
from fencebus_agent.outbox import Parcel
from fencebus_broker.amqp1_reasons import refused, shut_out
from fencebus_schemas.bus_url import Broker, Tls
from fencebus_schemas.deadline import Deadline

SILENCE = 60.0
"""Seconds: nothing is said while another broker is looked at."""
_T = TypeVar("_T")


class StagedLink(BrokerLink):
    """First the links that send, to both exchanges, as a host has them; the one that hears later."""

    def __init__(self, place: Broker, tls: Tls, domain: str, key: str, arrived: Arrived) -> None:
        """``key`` is what ``bind_own`` binds."""
        self._place, self._tls = place, tls
        self._own = Address(direct_exchange(domain), key)
        self.kind: Profile | None = None
        """What it has turned out to be."""
        self._bound: tuple[Address, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[str] = self._loop.create_future()
        self._hears: asyncio.Future[None] = self._loop.create_future()
        boxes = Boxes((self._own, Address(topic_exchange(domain), "")))
        greeting = greeting_of(place, tls, f"fencebus_broker-{secrets.token_hex(4)}", SILENCE)
        hooks = Hooks(arrived, _settle, _nothing)
        super().__init__(str(place), greeting, lambda: self._bound, boxes, hooks)
        self.ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # else asyncio complains

    async def log_in(self, seconds: float) -> str:
        """What the broker calls itself."""
        context = context_of(self._tls) if self._place.secure else None
        server = self._place.host if context else None
        async with asyncio.timeout(seconds):
            await self._loop.create_connection(
                lambda: self.engine, self._place.host, self._place.port, ssl=context, server_hostname=server
            )
        return await self._answered(self._opened, seconds)

    async def find_exchanges(self, seconds: float) -> None:
        """Until it may send there, which makes them where the broker lets it; and whom it vouches for is known."""
        await self._answered(self.ready, seconds)

    async def bind_own(self, seconds: float) -> None:
        """A queue of its own."""
        self._bound = (self._own,)
        self.bind()
        await self._answered(self._hears, seconds)

    async def send(self, to: Address, message: BusMessage, seconds: float) -> None:
        """Until the broker has it; raises Refused."""
        taken: asyncio.Future[None] = self._loop.create_future()
        parcel = Parcel(to, message, Deadline.after(seconds), Priority.COMMAND, taken)
        box = self._boxes.of(to)
        assert box is not None
        box.put(parcel)
        self.push(to)
        try:
            await self._answered(taken, seconds)
        except BusError as error:
            raise refused(error.detail) from None

    # ---- what the engine calls

    def on_open(self, connection: Connection) -> None:
        """See Handler."""
        super().on_open(connection)
        said = connection.remote_properties or {}
        product, version = str(said.get("product", "")), str(said.get("version", ""))
        self.kind = profile_of(product, version)
        if self.kind is not None and not self._opened.done():
            self._opened.set_result(f"{product} {version}")

    def on_attached(self, link: Sender | Receiver) -> None:
        """See Handler."""
        super().on_attached(link)
        if isinstance(link, Receiver) and is_attached(link) and not self._hears.done():
            self._hears.set_result(None)

    # ---- inside

    async def _answered(self, wanted: asyncio.Future[_T], seconds: float) -> _T:
        """What is waited for; raises Refused with the broker's reason if it ends the connection before."""
        await asyncio.wait((wanted, self.lost), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done() and wanted.exception() is None:
            return wanted.result()
        if self.lost.done():
            reason = self.lost.result()
            raise refused(reason) if self._opened.done() else shut_out(reason, named=bool(self._place.user))
        if wanted.done():
            return wanted.result()
        raise TimeoutError(f"no answer within {seconds:g} s")


def _settle(parcel: Parcel, error: BusError | None) -> None:
    if parcel.taken is None or parcel.taken.done():
        return
    if error is None:
        parcel.taken.set_result(None)
    else:
        parcel.taken.set_exception(error)


def _nothing(_reason: str) -> None:
    """What ends a connection is told by the step that it ended."""
