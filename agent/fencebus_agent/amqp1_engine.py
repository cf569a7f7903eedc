"""Engine converts the bytes of one socket into what AMQP 1.0 says, and back: proton's engine on the asyncio loop.

No thread and no Container.  Who uses it calls proton's objects from the loop and then ``wake``; a wake for many calls
is one write.  What bites, and is dodged here: an object of proton's never refers to one of ours, which would leak;
events are new objects each time, and so are links (facts: proton-asyncio).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from proton import (
    Collector,
    Condition,
    Connection,
    Delivery,
    Endpoint,
    Event,
    EventType,
    Link,
    ProtonException,
    Receiver,
    Sender,
    Session,
    Transport,
    symbol,
)

HOSTILE = (ProtonException, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
"""What proton makes of hostile bytes: whatever Python says where it looks at what they decode to (S11)."""
LARGEST = 16 << 20
"""Bytes of a message that is taken in; the library would keep any number of them."""


log = logging.getLogger(__name__)


class Outcome(Enum):
    """What the other side made of a message."""

    TAKEN = "taken"
    NOBODY = "taken, and nobody is there who wants it"
    REFUSED = "refused"


_OUTCOMES = {Delivery.ACCEPTED: Outcome.TAKEN, Delivery.RELEASED: Outcome.NOBODY}


class Handler(Protocol):
    """Who is told.  Nothing of it may raise."""

    def on_open(self, connection: Connection) -> None:
        """The other side has said what it is."""

    def on_attached(self, link: Sender | Receiver) -> None:
        """It has answered, or begun, a link; one that it refuses is ``on_detached`` next."""

    def on_detached(self, link: Sender | Receiver, reason: str) -> None:
        """It has ended a link."""

    def on_ended(self, session: Session, reason: str) -> None:
        """It has ended a session, with all its links."""

    def on_room(self, link: Sender | Receiver) -> None:
        """It may have given credit."""

    def on_message(self, link: Receiver, data: bytes) -> None:
        """A message is here, whole, and settled."""

    def on_outcome(self, link: Sender, tag: str, outcome: Outcome, reason: str) -> None:
        """It has spoken about a message that was sent."""

    def on_lost(self, reason: str) -> None:
        """The connection is gone; the last call."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What this side says of itself, and how it shows who it is."""

    container: str
    hostname: str | None = None
    mechanism: str = "ANONYMOUS"
    user: str = ""
    password: str = ""
    silence: float = 10.0
    """Seconds after which the other side is lost if it says nothing at all."""


class Engine(asyncio.Protocol):
    """One connection; the side that accepts it is the ``server``."""

    def __init__(self, handler: Handler, greeting: Greeting, *, server: bool = False) -> None:
        self._handler, self._loop = handler, asyncio.get_running_loop()
        self._transport = Transport(Transport.SERVER if server else Transport.CLIENT)
        self._transport.idle_timeout = greeting.silence
        sasl = self._transport.sasl()
        sasl.allow_insecure_mechs = True  # what protects the connection is a TLS that proton does not see
        sasl.allowed_mechs(greeting.mechanism)
        self._collector = Collector()
        self.connection = _opened(greeting, self._collector)
        self._events = self._table()
        self._socket: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._silence = greeting.silence
        self._paused = self._woken = False
        self._reason = ""
        self._ended = asyncio.Event()

    # ---- for the users of the connection

    def wake(self) -> None:
        """Something was done with one of proton's objects: bring it on its way, soon."""
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._pump)

    async def leave(self, seconds: float) -> None:
        """Take leave, for that long at most, and close the socket; idempotent."""
        if self._socket is not None and not self._ended.is_set():
            self.connection.close()
            self.wake()
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._ended.wait()
            finally:  # also for one who has no time for that
                self.drop("it did not answer the leave-taking")
        await asyncio.sleep(0)  # until asyncio has closed the socket

    def drop(self, reason: str) -> None:
        """Close the socket at once."""
        self._reason = self._reason or reason
        if self._socket is not None:
            self._socket.abort()

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._opening = self._loop.call_later(self._silence, self._look_for_opening)
        self._transport.bind(self.connection)
        self._pump()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol.  Every byte is hostile; the engine knows what it makes of them (S11)."""
        while data and (room := self._room()) > 0:
            self._transport.push(data[:room])
            data = data[room:]
            self._pump()
        if self._transport.capacity() < 0 and not self.connection.state & Endpoint.REMOTE_CLOSED:
            self._give_up()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._paused = True

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._paused = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._ended.set()
        for timer in (self._timer, self._opening):
            if timer is not None:
                timer.cancel()
        self._handler.on_lost(self._reason or (str(exc) if exc else "the other side closed the connection"))

    # ---- inside

    def _look_for_opening(self) -> None:
        if self.connection.state & Endpoint.REMOTE_UNINIT:
            self.drop("it does not begin to speak")

    def _pump(self) -> None:
        """Tell what has happened and write what is to be written: each may make more of the other."""
        self._woken = False
        if self._ended.is_set():
            return
        try:
            while self._dispatch() or self._write():
                pass
            self._tick()
        except HOSTILE as error:
            log.debug("what came cannot be read", exc_info=True)
            self.drop(f"what came cannot be read: {error}")

    def _room(self) -> int:
        """How much the engine takes now; nothing after an error."""
        return -1 if self._reason else self._transport.capacity()

    def _dispatch(self) -> bool:
        any_event = False
        while (event := self._collector.peek()) is not None:
            any_event = True
            try:
                if (tell := self._events.get(event.type)) is not None:
                    tell(event)
            finally:
                self._collector.pop()
        return any_event

    def _write(self) -> bool:
        assert self._socket is not None
        length = self._transport.pending()
        if length < 0:  # our last word is out
            if self.connection.state & Endpoint.REMOTE_CLOSED or self._reason:
                self._socket.close()
            elif self.connection.state & Endpoint.LOCAL_ACTIVE:
                self._give_up()
            return False
        if length == 0 or self._paused or self._socket.is_closing():
            return False
        data = self._transport.peek(length)
        if not data:
            return False
        self._socket.write(bytes(data))
        self._transport.pop(len(data))
        return True

    def _give_up(self) -> None:
        """The engine has, and not always says so."""
        self.drop(f"what came cannot be understood: {condition_text(self._transport.condition)}")

    def _tick(self) -> None:
        """One timer, which is made anew only when it has run out, or is late: most of them move with each message."""
        due = self._transport.tick(self._loop.time())
        if not due or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._timer_ran_out)

    def _timer_ran_out(self) -> None:
        self._timer = None
        self._pump()

    def _table(self) -> Mapping[EventType, Callable[[Event], None]]:
        handler = self._handler
        return {
            Event.CONNECTION_REMOTE_OPEN: lambda _event: handler.on_open(self.connection),
            Event.CONNECTION_REMOTE_CLOSE: lambda _event: self._remote_close(),
            Event.SESSION_REMOTE_OPEN: lambda event: _answer_session(event.session),
            Event.SESSION_REMOTE_CLOSE: lambda event: handler.on_ended(event.session, said(event.session)),
            Event.LINK_REMOTE_OPEN: lambda event: handler.on_attached(event.link),
            Event.LINK_REMOTE_CLOSE: lambda event: handler.on_detached(event.link, said(event.link)),
            Event.LINK_REMOTE_DETACH: lambda event: handler.on_detached(event.link, said(event.link)),
            Event.LINK_FLOW: lambda event: handler.on_room(event.link),
            Event.DELIVERY: lambda event: self._delivery(event.delivery),
            Event.TRANSPORT_ERROR: lambda _event: self.drop(condition_text(self._transport.condition)),
        }

    def _remote_close(self) -> None:
        why = self.connection.remote_condition
        self._reason = self._reason or (condition_text(why) if why else "the other side closed the connection")
        self.connection.close()

    def _delivery(self, delivery: Delivery) -> None:
        link = delivery.link
        if isinstance(link, Sender):
            if delivery.updated and (delivery.remote_state or delivery.settled):
                outcome = _OUTCOMES.get(delivery.remote_state, Outcome.REFUSED)
                reason = "" if outcome is not Outcome.REFUSED else condition_text(delivery.remote.condition)
                tag = delivery.tag
                delivery.settle()
                self._handler.on_outcome(link, tag, outcome, reason)
        elif delivery.pending > LARGEST:
            self.drop(f"a message of more than {LARGEST} bytes")
        elif delivery.aborted:
            delivery.settle()
        elif delivery.readable and not delivery.partial:
            self._receive(link, delivery)

    def _receive(self, link: Receiver, delivery: Delivery) -> None:
        data = link.recv(delivery.pending) or b""
        link.advance()
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        self._handler.on_message(link, bytes(data))


def condition_text(condition: Condition | None) -> str:
    """What went wrong, for people."""
    if condition is None:
        return "no reason was given"
    text = " ".join(str(condition.description or "").split())
    return f"{condition.name}: {text}" if text else condition.name


def said(endpoint: Endpoint) -> str:
    """Why the other side has ended it."""
    return condition_text(endpoint.remote_condition)


def is_attached(link: Link) -> bool:
    """False for a link that is refused: it is answered with no terminus, and ended directly after."""
    terminus = link.remote_target if link.is_sender else link.remote_source
    return bool(terminus.type)


def _opened(greeting: Greeting, collector: Collector) -> Connection:
    connection = Connection()
    connection.collect(collector)
    connection.container = greeting.container
    connection.hostname = greeting.hostname
    if greeting.user:
        connection.user, connection.password = greeting.user, greeting.password
    connection.properties = {symbol("product"): "fencebus"}
    connection.open()
    return connection


def _answer_session(session: Session) -> None:
    """The other side began one, unless it answers ours."""
    if session.state & Endpoint.LOCAL_UNINIT:
        session.open()
