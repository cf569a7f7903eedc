"""The little of a qpidd that its clients have to know, for tests where none is installed: it was seen on a real one.

A link to an exchange that is not there is answered and ended, and its session lives until the client ends it, which is
answered.  A message under another name than the login's ends its link, and has no outcome.
"""

from __future__ import annotations

from proton import Condition, Connection, Delivery, Message, Receiver, Sender, Session, Terminus

from fencebus_agent.amqp1_engine import Engine, Greeting, Outcome

MISSING = "qmf.none.topic"


class QpiddAlike:
    """Implements ``amqp1_engine.Handler``, for the side that accepts."""

    def __init__(self, *, compares: bool, rights: bool = True) -> None:
        """``compares`` user ids; ``rights``: nobody is refused anything by access control."""
        self.compares, self.rights = compares, rights
        self.taken: list[bytes] = []
        self.sessions_ended = 0
        self.lost: list[str] = []
        self.engine = _Engine(self)

    def takes(self, link: Receiver, data: bytes) -> bool:
        """What becomes of a message."""
        made = Message()
        made.decode(data)
        user = bytes(made.user_id or b"").decode()
        if self.compares and user not in ("", "host1"):
            _end(link, "amqp:not-allowed", f"Authenticated user id is host1 but user id in message declared as {user}")
        elif not self.rights:
            _end(link, "amqp:unauthorized-access", "host1 cannot publish")
        else:
            self.taken.append(data)
            return True
        return False

    def on_open(self, connection: Connection) -> None:
        """See Handler."""

    def on_attached(self, link: Sender | Receiver) -> None:
        """See Handler."""
        if isinstance(link, Receiver) and link.remote_target.address == MISSING:
            link.target.type = Terminus.UNSPECIFIED
            link.open()
            _end(link, "amqp:not-found", f"Node not found: {MISSING}")
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.open()
        if isinstance(link, Receiver):
            link.flow(500)

    def on_detached(self, link: Sender | Receiver, reason: str) -> None:
        """See Handler."""

    def on_ended(self, session: Session, reason: str) -> None:
        """See Handler."""
        self.sessions_ended += 1
        session.close()

    def on_room(self, link: Sender | Receiver) -> None:
        """See Handler."""

    def on_message(self, link: Receiver, data: bytes) -> None:
        """See Handler.  See takes."""

    def on_outcome(self, link: Sender, tag: str, outcome: Outcome, reason: str) -> None:
        """See Handler."""

    def on_lost(self, reason: str) -> None:
        """See Handler."""
        self.lost.append(reason)


class _Engine(Engine):
    """It says nothing of a message whose link it ends."""

    def __init__(self, broker: QpiddAlike) -> None:
        super().__init__(broker, Greeting("qpidd"), server=True)
        self._broker = broker

    def _receive(self, link: Receiver, delivery: Delivery) -> None:
        data = bytes(link.recv(delivery.pending) or b"")
        link.advance()
        if self._broker.takes(link, data):
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()


def _end(link: Receiver, name: str, text: str) -> None:
    link.condition = Condition(name, text)
    link.close()
