"""Pipe decides what goes out on one sending link, and when: what the other side has room for, and no more.

AMQP 1.0 gives credit; a broker that is full, or stands still, is seen by its silence: once it has not spoken about a
message for a while nothing more is given to it, so that nothing lies about on the way and arrives late (S12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proton import Sender

from fencebus_agent.amqp1_engine import Outcome
from fencebus_agent.bus import BusError, BusRefused
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.errors import WireError

WINDOW = 256
"""Messages that may be without an outcome before more are sent."""
WINDOW_BYTES = 1 << 20
STALL = 0.5
"""Seconds without a word about a message after which no more are sent."""

Settle = Callable[[Parcel, BusError | None], None]
"""``None``: it is taken."""


@dataclass(slots=True)
class _Sent:
    parcel: Parcel
    size: int


class Silence:
    """Decides whether the other side of a connection is too long silent about something, on whichever of its links."""

    def __init__(self, clock: Clock = boottime) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str], float] = {}

    def asked(self, link: str, tag: str) -> None:
        """A message is without an outcome from now on."""
        self._since[link, tag] = self._clock()

    def answered(self, link: str, tag: str) -> None:
        """It has one, or will never have one."""
        self._since.pop((link, tag), None)

    @property
    def too_long(self) -> bool:
        """True if nothing more is to be sent."""
        return bool(self._since) and self._clock() - next(iter(self._since.values())) > STALL


class Pipe:
    """One link, and the outbox that it empties.  ``push`` after whatever may have made room."""

    def __init__(
        self,
        name: str,
        link: Sender,
        outbox: Outbox,
        encode: Callable[[Parcel], bytes],
        settle: Settle,
        silence: Silence,
    ) -> None:
        """``encode`` may raise WireError; ``name`` is the other side's, for messages; ``silence`` its connection's."""
        self._name, self._link, self._outbox, self._silence = name, link, outbox, silence
        self._encode, self._settle = encode, settle
        self._sent: dict[str, _Sent] = {}
        self._bytes = 0
        self._number = 0
        self.attached = False

    @property
    def outbox(self) -> Outbox:
        """What waits for this link."""
        return self._outbox

    @property
    def in_doubt(self) -> bool:
        """True while something is without an outcome."""
        return bool(self._sent)

    def push(self) -> bool:
        """Send what may go; True if anything did."""
        any_sent = False
        while self._has_room() and (parcel := self._outbox.take()) is not None:
            any_sent = self._send(parcel) or any_sent
        return any_sent

    def heard(self, tag: str, outcome: Outcome, reason: str) -> None:
        """The other side has spoken about a message."""
        sent = self._sent.pop(tag, None)
        self._silence.answered(self._link.name, tag)
        if sent is not None:
            self._bytes -= sent.size
            refusal = BusRefused(self._name, reason) if outcome is Outcome.REFUSED else None
            self._settled(sent.parcel, refusal)

    def abandon(self, error: BusError) -> None:
        """The link is gone: what became of whatever is without an outcome will never be known."""
        self.attached = False
        sent, self._sent, self._bytes = self._sent, {}, 0
        for tag, each in sent.items():
            self._silence.answered(self._link.name, tag)
            self._settled(each.parcel, error)

    def _has_room(self) -> bool:
        within = len(self._sent) < WINDOW and self._bytes < WINDOW_BYTES
        return self.attached and within and self._link.credit > 0 and not self._silence.too_long

    def _send(self, parcel: Parcel) -> bool:
        try:
            data = self._encode(parcel)  # before there is a delivery: a half-made one would wedge the link
        except WireError as error:
            self._settled(parcel, BusRefused(self._name, str(error)))
            return False
        self._number += 1
        tag = str(self._number)
        self._link.delivery(tag)
        self._link.stream(data)
        self._link.advance()
        self._sent[tag] = _Sent(parcel, len(data))
        self._silence.asked(self._link.name, tag)
        self._bytes += len(data)
        return True

    def _settled(self, parcel: Parcel, error: BusError | None) -> None:
        self._outbox.settle(parcel)
        self._settle(parcel, error)
