"""Hearing converts subscriptions into receiving links of one session, and what they bring into messages of the bus."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from proton import Described, Link, Receiver, Session, Terminus, symbol

from fencebus_agent.amqp1_message import decoded
from fencebus_agent.amqp1_node import describe
from fencebus_agent.amqp1_profile import Profile
from fencebus_agent.bus import Address, BusMessage
from fencebus_schemas.errors import WireError

log = logging.getLogger(__name__)

CREDIT = 500
"""Messages that the other side may send ahead; once half of it is used up it gets more."""

Arrived = Callable[[Address, BusMessage], None]
"""The binding, and what came for it."""


class Hearing:
    """The receiving links of one connection: one for each binding, and so one queue for each at the broker."""

    def __init__(self, name: str, session: Session, profile: Profile, arrived: Arrived) -> None:
        """What comes has no user until ``vouched`` is set: until it is known that the broker compares them."""
        self._name, self._session, self._profile, self._arrived = name, session, profile, arrived
        self.vouched = False
        self._bindings: dict[str, Address] = {}
        self._awaited: set[str] = set()
        session.open()

    @property
    def complete(self) -> bool:
        """True if every link stands."""
        return not self._awaited

    def bind(self, address: Address) -> None:
        """Have what is sent there come; once for each address."""
        if address in self._bindings.values():
            return
        name = f"in-{len(self._bindings)}"
        self._bindings[name] = address
        self._awaited.add(name)
        link = self._session.receiver(name)
        link.snd_settle_mode = Link.SND_SETTLED
        source = self._profile.source(address)
        link.source.address = source.address
        link.source.expiry_policy = Terminus.EXPIRE_WITH_LINK
        link.target.address = name
        if source.binding is not None:
            descriptor, key = source.binding
            link.source.filter.put_object({symbol("binding"): Described(symbol(descriptor), key)})
        describe(link.source, self._profile.node(address.exchange, ours=True))
        link.open()
        link.flow(CREDIT)

    def attached(self, link: Receiver) -> None:
        """One stands."""
        self._awaited.discard(link.name)

    def message(self, link: Receiver, data: bytes) -> None:
        """Something came.  What is no message is dropped (S11)."""
        if link.credit <= CREDIT // 2:
            link.flow(CREDIT - link.credit)
        binding = self._bindings[link.name]
        try:
            message = decoded(data, binding, self._profile)
        except WireError as error:
            log.info("%s: dropped what came to %s: %s", self._name, binding, error)
        else:
            self._arrived(binding, message if self.vouched else replace(message, user_id=""))
