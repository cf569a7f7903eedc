"""Converts one AMQP 0-9-1 connection, through kombu, into messages that come and go.

What waits for an answer of the broker says so, and is for a thread; the rest is for the loop, while no thread is at it
(kombu_courier sees to that).
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import kombu
from kombu.transport import pyamqp

from fencebus_agent.bus import Address, BusError, BusMessage, BusRefused, direct_exchange, topic_exchange
from fencebus_agent.bus_terms import Terms
from fencebus_agent.bus_tls import speaks_for_itself
from fencebus_agent.kombu_publisher import PUBLISH, REFUSED, Publisher, Settle
from fencebus_agent.kombu_stream import Stream
from fencebus_agent.kombu_wire import message_of
from fencebus_agent.outbox import Parcel
from fencebus_schemas.bus_url import Broker, bracketed

QUEUE_LENGTH = 10_000
"""Messages that wait at the broker for a client that does not read; of more the oldest are lost."""
ANSWER = 5.0
"""Seconds that the broker may take to answer, or to go on with what it has begun."""
LONGEST = 2 * ANSWER
"""Seconds for which a thread has a connection at most: who goes on talking, and does not answer, is left."""
FAREWELL = 1.0
"""The same, when nothing depends on it any more."""
LAST_WORDS = 0.1
"""Seconds that are waited for confirms before leaving."""
LARGEST_FRAME = 1 << 17
"""Bytes, whatever larger ones the broker proposes; py-amqp would agree to any."""
AT_ONCE = 200
"""Frames that are read before it is looked at what is to be written."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is called on whichever side reads."""

    arrived: Callable[[BusMessage], None]
    settle: Settle
    unsent: Callable[[Parcel], None]
    """The broker threw it away unread: it is to be sent as the next one."""
    blocked: Callable[[bool], None]
    """True: the broker takes nothing more, as its memory or its disk is full; False: it does again."""


class _Channel(pyamqp.Channel):
    """One that stays closed when the broker has closed it: the library would open it again, and wait.  That a message
    was refused is said to who sent it, and disturbs nobody who waits for something else.
    """

    def _do_revive(self) -> None:
        self.is_open = False

    def _on_close(self, code: int, text: str, class_id: int, method_id: int) -> None:
        try:
            super()._on_close(code, text, class_id, method_id)
        except pyamqp.Transport.channel_errors as error:
            if (class_id, method_id) != PUBLISH:
                raise
            for shut in self.events[REFUSED]:
                shut(str(error))


class _Connection(pyamqp.Connection):
    """One over a stream that is there already.  It is left at once when it comes to nothing: the library does so after
    errors of the socket alone, and with others it would stay open until the garbage is collected.
    """

    Channel = _Channel

    def __init__(self, stream: Stream, **options: object) -> None:
        super().__init__(**options)
        self._stream = stream

    def Transport(self, *_place: object, **_options: object) -> Stream:  # noqa: N802 -- the library's name
        return self._stream

    def connect(self, callback: Callable[[], None] | None = None) -> None:
        try:
            super().connect(callback)
        except BaseException:
            self.collect()
            raise

    def _on_tune(self, channel_max: int, frame_max: int, heartbeat: int) -> None:
        super()._on_tune(channel_max, min(frame_max or LARGEST_FRAME, LARGEST_FRAME), heartbeat)


class _Transport(pyamqp.Transport):
    Connection = _Connection


class Link:
    """A connection with an exclusive queue of its own, whose name is new each time: what was sent before is gone.

    Everything may raise ``errors``; after that only ``drop`` makes sense.
    """

    def __init__(self, broker: Broker, terms: Terms, own: Address, hooks: Hooks, stream: Stream) -> None:
        """Log in, and make the queue; waits."""
        self._hooks, self._stream = hooks, stream
        self._blocked = False
        self._bound: set[Address] = set()
        by_certificate = speaks_for_itself(broker, terms.tls)
        user = broker.user or ("" if by_certificate else "guest")
        self._transport = kombu.Connection(
            bracketed(broker.host),
            userid=user,
            password=broker.password or ("" if broker.user else "guest"),
            virtual_host=broker.vhost,
            port=broker.port,
            transport=_Transport,
            connect_timeout=terms.connect_timeout,
            transport_options=self._options(terms, stream),
            login_method="EXTERNAL" if by_certificate else "PLAIN",
            heartbeat=terms.heartbeat,
        ).transport
        self._amqp = self._transport.establish_connection()
        try:
            self._publisher = Publisher(
                str(broker), self._amqp, self._transport.channel_errors, user, hooks.settle, hooks.unsent
            )
            self._queue = f"{terms.client}-{secrets.token_hex(8)}"
            self._prepare(terms, own)
        except BaseException:
            self.drop()
            raise

    def _options(self, terms: Terms, stream: Stream) -> dict[str, object]:
        return {
            "stream": stream,
            "client_properties": {"product": "fencebus", "connection_name": terms.client},
            "on_blocked": lambda _reason: self._block(True),
            "on_unblocked": lambda: self._block(False),
        }

    def _prepare(self, terms: Terms, own: Address) -> None:
        for exchange in (topic_exchange(terms.domain), direct_exchange(terms.domain)):
            self._ensure(exchange)
        self._consumer = self._amqp.channel()
        self._consumer.auto_decode = False  # a body stays the bytes that it is, whatever its sender says of it
        limit = {"x-max-length": QUEUE_LENGTH}
        self._consumer.queue_declare(self._queue, exclusive=True, auto_delete=True, arguments=limit)
        self.bind([own])
        self._consumer.basic_consume(self._queue, no_ack=True, callback=self._deliver)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What may go wrong with a connection."""
        return (*self._transport.connection_errors, *self._transport.channel_errors, BusError)

    @property
    def takes_more(self) -> bool:
        """True if the broker takes messages now."""
        return not self._blocked and self._stream.has_room and self._publisher.has_room

    @property
    def pending(self) -> bool:
        """True if there is something to be read."""
        return self._stream.has_frame

    def lacks(self, addresses: Iterable[Address]) -> bool:
        """True if there is something for a thread to do: to mend what a refusal has closed, or to bind to these.  Not
        while the broker is full, as it reads nothing then.
        """
        return not self._blocked and (self._publisher.shut or any(address not in self._bound for address in addresses))

    def supply(self, addresses: Iterable[Address]) -> None:
        """Do that; waits."""
        if self._publisher.shut:
            self._publisher.reopen()
        self.bind(addresses)

    def bind(self, addresses: Iterable[Address]) -> None:
        """Make what is sent to these come; waits.  Not while the broker is full, as it reads nothing then."""
        for address in addresses:
            if address not in self._bound and not self._blocked:
                self._bound.add(address)
                self._ensure(address.exchange)
                self._consumer.queue_bind(self._queue, address.exchange, address.key)

    def knows(self, to: Address) -> bool:
        """True if ``publish`` will not wait."""
        return self._publisher.knows(to.exchange)

    def learn(self, to: Address) -> str | None:
        """Why nothing can be sent there; ``None`` if it is known from now on.  Waits."""
        return self._publisher.ensure(to.exchange)

    def publish(self, parcel: Parcel) -> None:
        """See Publisher."""
        self._publisher.publish(parcel)

    def refuse(self, parcel: Parcel, reason: str) -> None:
        """See Publisher."""
        self._publisher.refuse(parcel, reason)

    def read(self) -> None:
        """Take what has come, and call the hooks for it."""
        for _ in range(AT_ONCE):
            if not self.pending:
                return
            self._amqp.blocking_read()

    def beat(self) -> None:
        """To be called some times in each heartbeat interval; raises once the broker has been silent for too long."""
        self._transport.heartbeat_check(self._amqp, rate=2)

    def close(self) -> None:
        """Take leave, for as long as that takes no time; waits, and never raises ``errors``."""
        with contextlib.suppress(*self.errors), self._stream.having_timeout(FAREWELL):
            if self._amqp.connected:
                self._hear_out()
                self._transport.close_connection(self._amqp)
        self.drop()

    def cut(self) -> None:
        """End what a thread waits for.  The only thing that is allowed while one is at it."""
        self._stream.abort("given up")

    def drop(self) -> None:
        """Close the connection, without a word."""
        with contextlib.suppress(*self.errors):
            self._amqp.collect()

    def abandon(self, error: BusError) -> None:
        """See Publisher."""
        self._publisher.abandon(error)

    def _hear_out(self) -> None:
        """What was sent last is confirmed within moments, where nothing is wrong."""
        until = time.monotonic() + LAST_WORDS
        with contextlib.suppress(TimeoutError):
            while self._publisher.in_doubt and (left := until - time.monotonic()) > 0:
                self._amqp.blocking_read(left)

    def _ensure(self, exchange: str) -> None:
        trouble = self._publisher.ensure(exchange)
        if trouble is not None:
            raise BusRefused(exchange, trouble)

    def _block(self, on: bool) -> None:
        self._blocked = on
        self._hooks.blocked(on)

    def _deliver(self, raw: object) -> None:
        message = self._consumer.message_to_python(raw)
        info, given = message.delivery_info, message.properties
        to = Address(str(info.get("exchange", "")), str(info.get("routing_key", "")))
        self._hooks.arrived(message_of(to, message.body, given, message.headers))
