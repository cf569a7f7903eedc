"""Decides how a broker wants its AMQP 1.0 addresses spelt, from what it says of itself.  Pure.

The brokers agree on AMQP 1.0 and on nothing else: exchanges, routing keys and whose word a user id is are each
broker's own (facts: qpidd 3 and 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from fencebus_agent.bus import Address, direct_exchange, topic_exchange


@dataclass(frozen=True, slots=True)
class Source:
    """Where a receiving link gets its messages from."""

    address: str
    binding: tuple[str, str] | None = None
    """The descriptor and the key of a filter that binds the link's queue to an exchange."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a link says of the thing at its end, so that the broker takes no other thing of that name for it."""

    capabilities: tuple[str, ...] = ()
    properties: tuple[tuple[str, str | bool], ...] = ()


class Profile(Protocol):
    """One kind of broker."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def typed(self) -> bool:
        """True: maps and lists travel as such; False: as the bytes that they are off AMQP 1.0."""

    @property
    def vouches(self) -> bool:
        """True if nobody can send in the name of another user of the broker."""

    def source(self, binding: Address) -> Source:
        """Where what is sent to ``binding`` comes from."""

    def target(self, to: Address) -> str | None:
        """The address of the sending link for what goes to ``to``; ``None``: there is no way."""

    def to(self, to: Address) -> str:
        """What stands in the message's own address."""

    def node(self, exchange: str, *, ours: bool) -> Node:
        """What a link says of an exchange; of one of ``ours`` also that it is to be made where it is not there."""


class Qpidd:
    """qpidd: an exchange is an address, the routing key is the subject, and filters bind.  It translates to AMQP 0-10,
    typed bodies included, and refuses a user id that is not the sender's, unless it runs with ``--auth no``.
    """

    name, typed, vouches = "qpidd", True, True

    def source(self, binding: Address) -> Source:
        """See Profile."""
        return Source(
            binding.exchange, (f"apache.org:legacy-amqp-{_kind(binding.exchange)}-binding:string", binding.key)
        )

    def target(self, to: Address) -> str:
        """See Profile."""
        return to.exchange or to.key

    def to(self, to: Address) -> str:
        """See Profile."""
        return to.exchange or to.key

    def node(self, exchange: str, *, ours: bool) -> Node:
        """See Profile.  It would rather take a queue of that name, which any of its users may have made.  By itself it
        makes the exchanges of the default domain alone, and of a type of their own, so that nobody may name theirs.
        """
        if not exchange:
            return Node(("queue",))
        if not ours or exchange in (topic_exchange(), direct_exchange()):
            return Node(("topic",))
        return Node(("topic", "create-on-demand"), (("exchange-type", _kind(exchange)),))


class Peer(Qpidd):
    """A host without a broker between: addresses as qpidd's, bodies the bytes that they are.  Who speaks is known from
    the connection; what the message says of it counts for nothing.
    """

    name, typed, vouches = "a peer", False, False

    def node(self, exchange: str, *, ours: bool) -> Node:
        """See Profile.  There is nothing else."""
        del exchange, ours
        return Node()


class RabbitMq3:
    """RabbitMQ 3 with its plugin for AMQP 1.0.  Hosts on AMQP 0-9-1 are met here, so bodies are bytes as theirs are.

    It compares the user id of who speaks AMQP 1.0, but a sender on AMQP 0-9-1 may make up the whole section in which it
    stands: nobody is vouched for.
    """

    name, typed, vouches = "RabbitMQ 3", False, False

    def source(self, binding: Address) -> Source:
        """See Profile."""
        return Source(f"/exchange/{_spelt(binding.exchange)}/{_spelt(binding.key)}")

    def target(self, to: Address) -> str | None:
        """See Profile."""
        return f"/exchange/{_spelt(to.exchange)}" if to.exchange else None

    def to(self, to: Address) -> str:
        """See Profile."""
        return to.exchange or to.key

    def node(self, exchange: str, *, ours: bool) -> Node:
        """See Profile.  Its addresses say what they name, and nobody on AMQP 1.0 can make an exchange."""
        del exchange, ours
        return Node()


class RabbitMq4(RabbitMq3):
    """RabbitMQ 4: sources by the addresses of version 3, which it knows besides its own, targets by its own."""

    name = "RabbitMQ 4"

    def target(self, to: Address) -> str | None:
        """See Profile."""
        return f"/exchanges/{quote(to.exchange, safe='')}" if to.exchange else f"/queues/{quote(to.key, safe='')}"


class Artemis:
    """ActiveMQ Artemis: no exchanges, but addresses with words and wildcards, which stand for exchange and key."""

    name, typed, vouches = "Artemis", True, False

    def source(self, binding: Address) -> Source:
        """See Profile."""
        return Source(self.to(binding))

    def target(self, to: Address) -> str:
        """See Profile.  The anonymous one: each message says itself where it goes."""
        return ""

    def to(self, to: Address) -> str:
        """See Profile."""
        return f"{to.exchange}.{to.key}" if to.exchange else to.key

    def node(self, exchange: str, *, ours: bool) -> Node:
        """See Profile."""
        del ours
        return Node(("topic",)) if exchange else Node()


def profile_of(product: str, version: str) -> Profile | None:
    """How to speak with the broker that calls itself so; ``None``: with no broker that is known."""
    known = product.lower()
    if known == "rabbitmq":
        return RabbitMq3() if version.startswith("3.") else RabbitMq4()
    if known.startswith("qpid-cpp"):
        return Qpidd()
    if "artemis" in known:
        return Artemis()
    return None


def reply_address(text: str) -> Address | None:
    """The address that a reply-to spells: ``EXCHANGE/KEY``, as QMF does, or as RabbitMQ writes one: ``/queue/TEXT`` is
    what it makes of the reply-to of a host on AMQP 0-9-1, ``/exchange/NAME/KEY`` and the like are its own.
    """
    if not text:
        return None
    if not text.startswith("/"):
        return Address.parse(text)
    kind, _, rest = text[1:].partition("/")
    if kind == "queue":
        return Address.parse(rest)
    if kind in ("exchange", "exchanges"):
        exchange, _, key = rest.partition("/")
        return Address(unquote(exchange), unquote(key))
    return Address("", unquote(rest))


def _kind(exchange: str) -> str:
    """The type of an exchange, as QMF names them."""
    return "topic" if exchange.endswith(".topic") else "direct"


def _spelt(text: str) -> str:
    """Percent-encoded, as a slash parts an address of RabbitMQ's."""
    return quote(text, safe="#*:. ")
