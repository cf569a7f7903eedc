"""The Bus port: what fencebus asks of whatever carries its messages between hosts.

Shaped for QMF over AMQP 0-9-1 and AMQP 1.0 (facts: qmf2 1, qpidd 3): a message goes to a routing key on an exchange;
replies go to an address that the request names.  A bus carries; it neither reads what it carries nor promises that
anybody got it: who needs to know asks for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from fencebus_schemas.deadline import Deadline
from fencebus_schemas.errors import FencebusError


class BusError(FencebusError):
    """A bus could not do what was asked.  ``bus`` is its URL without a password, ``detail`` is for people."""

    def __init__(self, bus: str, detail: str) -> None:
        super().__init__(bus, detail)
        self.bus = bus
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.bus}: {self.detail}"


class BusUnreachable(BusError):
    """No connection until the deadline: the message has not been sent."""


class BusCongested(BusError):
    """Connected, but the bus has not taken it until the deadline.  It was not sent, nor will it be; or it was, as
    ``detail`` says, and nobody confirmed it: then it may have arrived.
    """


class BusRefused(BusError):
    """The broker does not want it: no such exchange, no permission, a malformed message.  The connection lives on."""


class BusClosed(BusError):
    """``close`` was called before."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes, or which messages a subscription is for."""

    exchange: str
    """Its name, such as ``qmf.default.topic``; empty for a queue by its name."""
    key: str
    """The routing key; at most 255 bytes.  In a subscription to a topic exchange ``*`` stands for one word and ``#``
    for any number of them.
    """

    def __str__(self) -> str:
        return f"{self.exchange}/{self.key}" if self.exchange else self.key

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that a reply-to spells: split at its first slash; without one it is a queue (facts: qpidd 3c)."""
        exchange, slash, key = text.partition("/")
        return cls(exchange, key) if slash else cls("", exchange)


def topic_exchange(domain: str = "default") -> str:
    """The exchange of a QMF domain for what concerns whoever listens."""
    return f"qmf.{domain}.topic"


def direct_exchange(domain: str = "default") -> str:
    """The exchange of a QMF domain for what concerns one receiver."""
    return f"qmf.{domain}.direct"


HeaderValue = str | int | bool | bytes | None

MAP, LIST = "amqp/map", "amqp/list"
"""Content types of bodies in the AMQP 0-10 encoding.  A bus whose protocol has typed bodies (AMQP 1.0) converts them at
its edge, both ways; every other body travels as the bytes that it is.
"""


@dataclass(frozen=True, slots=True)
class BusMessage:
    """A message, to be sent or as it came."""

    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, HeaderValue], ...] = ()
    """Application properties, each name once."""
    reply_to: Address | None = None
    correlation_id: str = ""
    app_id: str = ""
    """Not every way brings it along: never required of what came (facts: qmf2 0.3)."""
    ttl: float | None = None
    """Seconds after which nobody is to get it any more; ``None``: never expires.  Of what came: what the sender set."""
    user_id: str = ""
    """Of what came: the user for whom the broker vouches, without a realm; empty if it vouches for none.  A sender
    leaves it empty.
    """
    to: Address = Address("", "")
    """Of what came: where it was sent, its subject in ``to.key``.  A sender leaves it empty."""

    def header(self, name: str) -> HeaderValue:
        """The value of a header; ``None`` also where there is none."""
        return dict(self.headers).get(name)

    def has_header(self, name: str) -> bool:
        """True if there is such a header, though it be without a value."""
        return any(name == known for known, _ in self.headers)


class Priority(Enum):
    """What becomes of a message when the bus has no room for it."""

    INDICATION = "dropped, and counted: another will come"
    """Heartbeats, inventories, objects, events."""
    COMMAND = "waits for room until its deadline"
    """Whatever a fence depends on.  Indications never take the last room from it."""


class BusState(Enum):
    """What a bus tells of its connection."""

    CONNECTED = "connected"
    """All subscriptions stand: whoever was silent speaks now, and asks for what it missed."""
    LOST = "lost"
    """What comes from now on is missed, for good: queues end with the connection."""


MessageSink = Callable[[BusMessage], None]
StateSink = Callable[[BusState, str], None]
"""Called with the state and, for LOST, the reason for people."""


@runtime_checkable
class Renewable(Protocol):
    """A bus whose connections begin with the hosts' own key."""

    def renew(self, keys: Sequence[bytes]) -> None:
        """Let connections begin with these from now on: the first signs, all verify."""


class Bus(Protocol):
    """One client of a bus.  Every method ends by its deadline; none raises anything but BusError."""

    @property
    def name(self) -> str:
        """The URL, without a password, for messages."""

    @property
    def own(self) -> Address:
        """Where this client and no other is reached; fit for a reply-to, and different after each start.

        What is sent there comes to the sinks that are subscribed to it.
        """

    @property
    def dropped(self) -> int:
        """How many indications had to be dropped so far."""

    async def run(self) -> None:
        """Connect, receive, heal; returns only when cancelled.  All other methods work while it runs."""

    async def wait_connected(self, deadline: Deadline) -> None:
        """Return once connected; raises BusUnreachable at the deadline."""

    def subscribe(self, address: Address, sink: MessageSink) -> None:
        """Call ``sink`` in the event loop with each message that comes to ``address``; also with this client's own.

        Before ``run`` or later; made again with each connection.  A message that matches several subscriptions comes
        to each sink at least once.  Between one sender and one receiver the order of commands is kept, and that of
        indications.
        """

    def watch(self, sink: StateSink) -> None:
        """Call ``sink`` in the event loop with each change of the connection."""

    async def send(self, to: Address, message: BusMessage, deadline: Deadline, priority: Priority) -> None:
        """Hand a message to the bus.  To an address of a topic exchange this is publishing.

        INDICATION: returns at once and raises neither BusUnreachable nor BusCongested; what finds no connection or no
        room is dropped and counted.  COMMAND: returns when the bus has taken it; raises BusUnreachable or BusCongested
        at the deadline, and begins to send nothing from then on.  What a socket had taken before may yet arrive: no
        client can call it back, and whoever receives it looks at its age (S12).  Both raise BusRefused and BusClosed.
        That nobody listens there is no error.
        """

    async def close(self) -> None:
        """Leave: the own address and all subscriptions are gone; idempotent."""
