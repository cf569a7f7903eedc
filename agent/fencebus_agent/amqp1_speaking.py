"""Speaking converts outboxes into sending links: one for each exchange, each in a session of its own.

A broker such as RabbitMQ ends the whole session for one message that it does not want: the others live on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proton import Connection, Endpoint, Link, Sender, Session, Terminus

from fencebus_agent.amqp1_engine import Outcome
from fencebus_agent.amqp1_message import encoded
from fencebus_agent.amqp1_node import describe
from fencebus_agent.amqp1_pipe import Pipe, Settle, Silence
from fencebus_agent.amqp1_profile import Profile
from fencebus_agent.bus import Address, BusError, BusRefused
from fencebus_agent.outbox import Outbox, Parcel

MOST_PLACES = 64
"""Exchanges and queues to which one client sends; who asks for answers names them, so there has to be a limit."""


class Boxes:
    """What waits, for each exchange or queue by itself; it outlives connections."""

    def __init__(self, needed: Iterable[Address] = ()) -> None:
        """Without a way to the exchanges of ``needed`` a connection is worth nothing."""
        needed = tuple(needed)
        self.needed = frozenset(map(place_of, needed))
        self._boxes: dict[str, tuple[Address, Outbox]] = {place_of(to): (to, Outbox()) for to in needed}

    def of(self, to: Address) -> Outbox | None:
        """Where what goes there waits; ``None`` if there are too many places already."""
        place = place_of(to)
        if place not in self._boxes:
            if len(self._boxes) >= MOST_PLACES:
                return None
            self._boxes[place] = (to, Outbox())
        return self._boxes[place][1]

    def places(self) -> tuple[Address, ...]:
        """An address of each."""
        return tuple(to for to, _ in self._boxes.values())

    def forget(self) -> int:
        """Drop the indications, and the places where nobody waits; returns how many indications there were."""
        dropped = sum(box.drop_indications() for _, box in self._boxes.values())
        self._boxes = {at: held for at, held in self._boxes.items() if at in self.needed or not held[1].idle}
        return dropped


def place_of(to: Address) -> str:
    """The name of the link that leads there."""
    return f"exchange {to.exchange}" if to.exchange else f"queue {to.key}"


@dataclass(slots=True)
class _Way:
    to: Address
    session: Session
    link: Sender
    pipe: Pipe


@dataclass(slots=True)
class Speaking:
    """The sending links of one connection.  ``name`` is the broker's, ``user`` whom it vouches for."""

    name: str
    connection: Connection
    profile: Profile
    user: str
    boxes: Boxes
    settle: Settle
    _ways: dict[str, _Way] = field(default_factory=dict)
    _silence: Silence = field(default_factory=Silence)
    _number: int = 0

    @property
    def complete(self) -> bool:
        """True if every link stands that is needed."""
        return all(place in self._ways and self._ways[place].pipe.attached for place in self.boxes.needed)

    @property
    def in_doubt(self) -> bool:
        """True while something is without an outcome."""
        return any(way.pipe.in_doubt for way in self._ways.values())

    @property
    def stalled(self) -> bool:
        """True if the broker is silent about what it was given before."""
        return self._silence.too_long

    def push(self, to: Address) -> None:
        """Send what waits for an exchange, over a new link if there is none yet."""
        if (box := self.boxes.of(to)) is None:
            return
        place = place_of(to)
        if place not in self._ways:
            target = self.profile.target(to)
            if target is None:
                _refuse(box, self.settle, BusRefused(self.name, f"{self.profile.name} leads to no queue by its name"))
                return
            self._ways[place] = self._way(to, target, box)
        self._ways[place].pipe.push()

    def attached(self, link: Sender) -> None:
        """A link stands: what waits for it goes out."""
        if (way := self._by_link(link.name)) is not None:
            way.pipe.attached = True
            way.pipe.push()

    def room(self, link: Sender) -> None:
        """It may have credit."""
        if (way := self._by_link(link.name)) is not None:
            way.pipe.push()

    def outcome(self, link: Sender, tag: str, outcome: Outcome, reason: str) -> None:
        """The broker has spoken about a message."""
        if (way := self._by_link(link.name)) is not None:
            held = self.stalled
            way.pipe.heard(tag, outcome, reason)
            for each in self._ways.values() if held else (way,):
                each.pipe.push()

    def link_ended(self, link: Sender, reason: str) -> bool:
        """The broker has ended a link; False if the connection is worth nothing without it."""
        way = self._by_link(link.name)
        return way is None or self._ended(way, reason)

    def session_ended(self, session: Session, reason: str) -> bool:
        """The same for the session of a link; False also for a session that is none of these.

        One that was ended here is answered: RabbitMQ ends a session first, qpidd only the link, and the rest is ours.
        """
        if session.state & Endpoint.LOCAL_CLOSED:
            return True
        way = next((way for way in self._ways.values() if way.session == session), None)
        return way is not None and self._ended(way, reason)

    def abandon(self, error: BusError) -> None:
        """The connection is gone."""
        for way in self._ways.values():
            way.pipe.abandon(error)

    def _ended(self, way: _Way, reason: str) -> bool:
        """Because of a message: what was under way is called refused, and a new link takes what waits.  Or because the
        broker does not want it, or not any more: all is refused.
        """
        place, pipe, error = place_of(way.to), way.pipe, BusRefused(self.name, reason)
        del self._ways[place]
        again = pipe.attached and pipe.in_doubt
        pipe.abandon(error)
        way.session.close()
        way.session.free()
        if again:
            self.push(way.to)
        else:
            _refuse(pipe.outbox, self.settle, error)
        return again or place not in self.boxes.needed

    def _by_link(self, name: str) -> _Way | None:
        return next((way for way in self._ways.values() if way.link.name == name), None)

    def _way(self, to: Address, target: str, box: Outbox) -> _Way:
        session = self.connection.session()
        session.open()
        self._number += 1
        link = session.sender(f"out-{self._number}")
        link.snd_settle_mode = Link.SND_UNSETTLED
        link.source.address = link.name
        link.target.type = Terminus.TARGET
        link.target.address = target or None
        if target:
            describe(link.target, self.profile.node(to.exchange, ours=place_of(to) in self.boxes.needed))
        link.open()
        return _Way(to, session, link, Pipe(self.name, link, box, self._encoded, self.settle, self._silence))

    def _encoded(self, parcel: Parcel) -> bytes:
        return encoded(parcel.to, parcel.message, self.user, self.profile)


def _refuse(box: Outbox, settle: Settle, error: BusError) -> None:
    while (parcel := box.take()) is not None:
        box.settle(parcel)
        settle(parcel, error)
