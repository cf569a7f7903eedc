"""Converts parcels into confirmed messages on one channel: what the broker took, refused, or was not asked for.

Confirms are read as they come rather than one after each message: a message costs no round trip, and many are under way
at once.
"""

from __future__ import annotations

from collections.abc import Callable

from kombu.transport.pyamqp import Channel, Connection

from fencebus_agent.bus import BusError, BusRefused
from fencebus_agent.kombu_wire import blamed, headers_of, is_of_qmf, properties
from fencebus_agent.outbox import Parcel
from fencebus_agent.topics import exchange_type

WINDOW = 256
"""Messages that the broker may leave unconfirmed before more are written."""
WINDOW_BYTES = 1 << 20

PUBLISH = (60, 40)
"""The method of AMQP 0-9-1 that ``publish`` calls."""
REFUSED = "refused"
"""The event of a channel that the broker has closed because of a message."""

Settle = Callable[[Parcel, BusError | None], None]
"""``None``: the broker has it."""


class Publisher:
    """Everything here may raise any of the transport's errors."""

    def __init__(
        self,
        name: str,
        amqp: Connection,
        refusals: tuple[type[Exception], ...],
        user: str,
        settle: Settle,
        unsent: Callable[[Parcel], None],
    ) -> None:
        """``refusals`` are the errors that close a channel; the broker vouches for ``user``, unless it is empty;
        ``unsent`` takes back what was written in vain, the last one first.
        """
        self._name, self._amqp, self._refusals, self._user = name, amqp, refusals, user
        self._settle, self._unsent = settle, unsent
        self._known: set[str] = {""}
        self._unconfirmed: dict[int, Parcel] = {}
        self._bytes = 0
        self._tag = 0
        self._refusal = ""
        self._channel = self._opened()

    @property
    def has_room(self) -> bool:
        """False while too much is unconfirmed, or the channel is shut."""
        return not self.shut and len(self._unconfirmed) < WINDOW and self._bytes < WINDOW_BYTES

    @property
    def shut(self) -> bool:
        """True once the broker has closed the channel because of a message, until ``reopen``."""
        return bool(self._refusal)

    @property
    def in_doubt(self) -> bool:
        """True while something is unconfirmed."""
        return bool(self._unconfirmed)

    def publish(self, parcel: Parcel) -> None:
        """Write it, to an exchange that is known; what becomes of it is told to ``settle`` later.  It is not sent if
        this raises.
        """
        self._write(parcel)
        self._tag += 1
        self._unconfirmed[self._tag] = parcel
        self._bytes += len(parcel.message.body)

    def knows(self, exchange: str) -> bool:
        """True if it is known to be there."""
        return exchange in self._known

    def ensure(self, exchange: str) -> str | None:
        """Why nothing can be sent to an exchange; ``None`` if it is there.  Waits where that is not known.

        One of QMF's is made where it is missing.  It is looked for first: a host need not have the right to make any,
        and a broker would write down each refusal as an error.
        """
        if exchange in self._known:
            return None
        trouble = self._declare(exchange, passive=True)
        if trouble is not None and is_of_qmf(exchange):
            trouble = self._declare(exchange, passive=False)
        if trouble is None:
            self._known.add(exchange)
        return trouble

    def refuse(self, parcel: Parcel, reason: str) -> None:
        """It was not written, and will not be."""
        self._settle(parcel, BusRefused(self._name, reason))

    def reopen(self) -> None:
        """Once it is shut: what the broker has read after the message that it refused it threw away.  Waits."""
        reason, self._refusal = self._refusal, ""
        self._channel.collect()
        parcels = list(self._unconfirmed.values())
        guilty = blamed(reason, [parcel.to for parcel in parcels])
        self._unconfirmed = dict(enumerate(parcels[: guilty + 1], 1))
        self.abandon(BusRefused(self._name, reason))
        for parcel in reversed(parcels[guilty + 1 :]):
            self._unsent(parcel)
        self._known = {""}
        self._channel = self._opened()

    def abandon(self, error: BusError) -> None:
        """Settle whatever is unconfirmed: what became of it will never be known."""
        parcels, self._unconfirmed, self._bytes = tuple(self._unconfirmed.values()), {}, 0
        for parcel in parcels:
            self._settle(parcel, error)

    def _write(self, parcel: Parcel) -> None:
        message = parcel.message
        prepared = self._channel.prepare_message(
            message.body,
            content_type=message.content_type or None,
            content_encoding="binary",
            headers=headers_of(message),
            properties=dict(properties(message, self._user)),
        )
        # Not basic_publish, which first reads what the broker has said, and would wait for it.
        self._channel.send_method(PUBLISH, "Bssbb", (0, parcel.to.exchange, parcel.to.key, False, False), prepared)

    def _opened(self) -> Channel:
        channel = self._amqp.channel()
        channel.confirm_select()
        self._tag = 0
        channel.events["basic_ack"].add(self._acked)
        channel.events["basic_nack"].add(self._nacked)
        channel.events[REFUSED].add(self._shut)
        return channel

    def _declare(self, exchange: str, *, passive: bool) -> str | None:
        """On a channel of its own, as a refusal closes it."""
        channel = self._amqp.channel()
        try:
            channel.exchange_declare(exchange, exchange_type(exchange), passive, durable=True, auto_delete=False)
        except self._refusals as error:
            if channel.is_open:  # it is another one that the broker has closed
                raise
            channel.collect()
            return str(error)
        channel.close()
        return None

    def _shut(self, reason: str) -> None:
        self._refusal = reason

    def _acked(self, tag: int, multiple: bool) -> None:
        self._answered(tag, multiple, None)

    def _nacked(self, tag: int, multiple: bool) -> None:
        self._answered(tag, multiple, BusRefused(self._name, "the broker could not take it"))

    def _answered(self, tag: int, multiple: bool, refusal: BusError | None) -> None:
        for each in [each for each in self._unconfirmed if each <= tag] if multiple else [tag]:
            parcel = self._unconfirmed.pop(each, None)
            if parcel is not None:
                self._bytes -= len(parcel.message.body)
                self._settle(parcel, refusal)
