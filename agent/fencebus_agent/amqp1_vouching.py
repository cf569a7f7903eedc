"""Vouching decides whether a broker compares user ids, from what becomes of a message under a name that is nobody's.

qpidd compares them with the login, but with ``--auth no`` it takes any login for true and compares nothing, and says
nothing about it: whoever reaches it could order a kill in the name of one of the ``trusted_users``.  So it is tried.
"""

from __future__ import annotations

import secrets

from proton import Connection, Link, Session, Terminus

from fencebus_agent.amqp1_engine import Outcome
from fencebus_agent.amqp1_message import encoded
from fencebus_agent.amqp1_node import describe
from fencebus_agent.amqp1_profile import Profile
from fencebus_agent.bus import Address, BusMessage

LINK = "vouching"
NOT_ALLOWED = "amqp:not-allowed"
"""What a broker says that has compared; everything else it may say has other reasons."""


class Vouching:
    """A link, in a session of its own, that lives for one message."""

    def __init__(self, connection: Connection, profile: Profile, exchange: str) -> None:
        """It is sent to an address of ``exchange`` where nobody listens."""
        self.decided = self.proven = False
        nobody = secrets.token_hex(16)
        self._data = encoded(Address(exchange, f"fencebus-{nobody}"), BusMessage(ttl=1.0), nobody, profile)
        self._session = connection.session()
        self._session.open()
        self._link = self._session.sender(LINK)
        self._link.snd_settle_mode = Link.SND_UNSETTLED
        self._link.source.address = LINK
        self._link.target.type = Terminus.TARGET
        self._link.target.address = profile.target(Address(exchange, ""))
        describe(self._link.target, profile.node(exchange, ours=True))
        self._link.open()
        self._sent = False

    def owns(self, link: Link) -> bool:
        """True if it is this one's link."""
        return bool(link.name == LINK and link.is_sender)

    def room(self) -> None:
        """The broker may have given credit."""
        if not self._sent and not self.decided and self._link.credit > 0:
            self._sent = True
            self._link.delivery("1")
            self._link.stream(self._data)
            self._link.advance()

    def outcome(self, outcome: Outcome, reason: str) -> None:
        """The broker has spoken about the message."""
        self._decide(outcome is Outcome.REFUSED and reason.startswith(NOT_ALLOWED))

    def ended(self, reason: str) -> None:
        """The broker has ended the link, or its session."""
        self._decide(self._sent and reason.startswith(NOT_ALLOWED))

    def is_of(self, session: Session) -> bool:
        """True if it is the session of the link."""
        return bool(session == self._session)

    def _decide(self, proven: bool) -> None:
        if not self.decided:
            self.decided, self.proven = True, proven
            self._session.close()
