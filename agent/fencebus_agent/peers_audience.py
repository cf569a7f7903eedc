"""Audience converts what one other host wants to hear into sending links, each with its outbox.

A host is a small broker for what it has to say itself: the others attach receiving links, with a filter for each
binding as on qpidd, and what is sent goes down every link whose binding covers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proton import Condition, Connection, Described, Receiver, Sender, Session, Terminus

from fencebus_agent.amqp1_engine import Engine, Greeting, Outcome
from fencebus_agent.amqp1_message import encoded
from fencebus_agent.amqp1_pipe import Pipe, Settle, Silence
from fencebus_agent.amqp1_profile import Peer
from fencebus_agent.bus import Address, BusError, BusUnreachable
from fencebus_agent.outbox import Outbox, Parcel
from fencebus_agent.topics import binding_covers

MOST_LINKS = 256
"""Bindings of one host."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who is told of an audience."""

    present: Callable[[Audience], None]
    """It listens."""
    gone: Callable[[Audience, str], None]
    settle: Settle


@dataclass(slots=True)
class _Listener:
    binding: Address
    pipe: Pipe


class Audience:
    """Implements ``amqp1_engine.Handler``, for the side that accepts."""

    def __init__(self, name: str, greeting: Greeting, ears: Ears) -> None:
        self.name = name
        self._profile, self._ears = Peer(), ears
        self._silence = Silence()
        self._listeners: dict[str, _Listener] = {}
        self.engine = Engine(self, greeting, server=True)

    # ---- for the bus

    @property
    def stalled(self) -> bool:
        """True if it is silent about what it was given before."""
        return self._silence.too_long

    def boxes(self, to: Address) -> tuple[Outbox, ...]:
        """Where what goes to an address has to wait for it; none if it does not want it."""
        listeners = self._listeners.values()
        return tuple(each.pipe.outbox for each in listeners if binding_covers(each.binding, to))

    def push(self) -> None:
        """Something waits."""
        for listener in self._listeners.values():
            listener.pipe.push()
        self.engine.wake()

    # ---- what the engine calls

    def on_open(self, connection: Connection) -> None:
        """See Handler."""

    def on_attached(self, link: Sender | Receiver) -> None:
        """See Handler.  It wants to hear something; that it has something to say is not how this works."""
        binding = _binding(link) if isinstance(link, Sender) else None
        if binding is None or not isinstance(link, Sender) or len(self._listeners) >= MOST_LINKS:
            link.source.type = link.target.type = Terminus.UNSPECIFIED
            link.open()
            link.condition = Condition("amqp:not-allowed", "a link has to receive, and to say for which binding")
            link.close()
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.open()
        pipe = Pipe(self.name, link, Outbox(), self._encoded, self._ears.settle, self._silence)
        pipe.attached = True
        self._listeners[link.name] = _Listener(binding, pipe)
        if len(self._listeners) == 1:
            self._ears.present(self)

    def on_detached(self, link: Sender | Receiver, reason: str) -> None:
        """See Handler."""
        if (listener := self._listeners.pop(link.name, None)) is not None:
            self._abandon(listener, reason)
            link.close()

    def on_ended(self, session: Session, reason: str) -> None:
        """See Handler."""
        self.engine.drop(reason)

    def on_room(self, link: Sender | Receiver) -> None:
        """See Handler."""
        if (listener := self._listeners.get(link.name)) is not None:
            listener.pipe.push()

    def on_message(self, link: Receiver, data: bytes) -> None:
        """See Handler.  There is no link on which anything could come."""

    def on_outcome(self, link: Sender, tag: str, outcome: Outcome, reason: str) -> None:
        """See Handler."""
        if (listener := self._listeners.get(link.name)) is not None:
            listener.pipe.heard(tag, outcome, reason)
            self.push()

    def on_lost(self, reason: str) -> None:
        """See Handler."""
        self._ears.gone(self, reason)
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            self._abandon(listener, reason)

    # ---- inside

    def _abandon(self, listener: _Listener, reason: str) -> None:
        """What was sent may have arrived, or not; what waits will never go."""
        error: BusError = BusUnreachable(self.name, f"lost: {reason}")
        listener.pipe.abandon(error)
        box = listener.pipe.outbox
        while (parcel := box.take()) is not None:
            box.settle(parcel)
            self._ears.settle(parcel, error)

    def _encoded(self, parcel: Parcel) -> bytes:
        return encoded(parcel.to, parcel.message, "", self._profile)


def _binding(link: Sender) -> Address | None:
    """What it wants; ``None`` if that cannot be told (S11)."""
    exchange, wanted = link.remote_source.address, link.remote_source.filter
    wanted.rewind()
    if not exchange or wanted.next() is None or not isinstance(filters := wanted.get_object(), dict):
        return None
    for value in filters.values():
        if isinstance(value, Described) and isinstance(value.value, str):
            return Address(exchange, value.value)
    return None
