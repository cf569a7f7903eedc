"""BrokerLink converts one AMQP 1.0 connection to a broker into messages that come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from proton import Connection, Receiver, Sender, Session

from fencebus_agent.amqp1_engine import Engine, Greeting, Outcome, is_attached
from fencebus_agent.amqp1_hearing import Arrived, Hearing
from fencebus_agent.amqp1_pipe import Settle
from fencebus_agent.amqp1_profile import Profile, profile_of
from fencebus_agent.amqp1_speaking import Boxes, Speaking
from fencebus_agent.amqp1_vouching import Vouching
from fencebus_agent.bus import Address, BusUnreachable

log = logging.getLogger(__name__)

FAREWELL = 1.0
"""Seconds that the broker may take to let us go."""
LAST_WORDS = 0.1
"""Seconds that are waited for what is without an outcome, before leaving."""
LOOKS = 20


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told."""

    arrived: Arrived
    settle: Settle
    lost: Callable[[str], None]
    """At once, before what was under way is settled."""


class BrokerLink:
    """Implements ``amqp1_engine.Handler``.  ``ready`` once every link stands; ``lost`` has the reason at the end."""

    def __init__(
        self,
        name: str,
        greeting: Greeting,
        wanted: Callable[[], tuple[Address, ...]],
        boxes: Boxes,
        hooks: Hooks,
        profile: Profile | None = None,
    ) -> None:
        """``wanted`` tells the bindings; without a ``profile`` the broker has to tell what it is."""
        loop = asyncio.get_running_loop()
        self._name, self._user, self._wanted, self._boxes, self._hooks = name, greeting.user, wanted, boxes, hooks
        self._profile, self._known = profile, greeting.mechanism != "ANONYMOUS"
        self._hearing: Hearing | None = None
        self._speaking: Speaking | None = None
        self._vouching: Vouching | None = None
        self.engine = Engine(self, greeting)
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()

    # ---- for the bus

    def bind(self) -> None:
        """Somebody wants more."""
        if self._hearing is not None:
            for address in self._wanted():
                self._hearing.bind(address)
            self.engine.wake()

    def push(self, to: Address) -> None:
        """Something waits for that address."""
        if self._speaking is not None:
            self._speaking.push(to)
            self.engine.wake()

    @property
    def stalled(self) -> bool:
        """True if the broker is silent about what it was given before."""
        return self._speaking is not None and self._speaking.stalled

    async def leave(self) -> None:
        """Take leave, for as long as that takes no time."""
        try:
            for _ in range(LOOKS):
                if self._speaking is not None and self._speaking.in_doubt and not self.lost.done():
                    await asyncio.sleep(LAST_WORDS / LOOKS)
        finally:
            await self.engine.leave(FAREWELL)

    # ---- what the engine calls

    def on_open(self, connection: Connection) -> None:
        """See Handler."""
        said = connection.remote_properties or {}
        product, version = str(said.get("product", "")), str(said.get("version", ""))
        profile = self._profile or profile_of(product, version)
        if profile is None:
            self.engine.drop(f"a broker of no known kind: it calls itself {product!r} {version!r}")
            return
        self._hearing = Hearing(self._name, connection.session(), profile, self._hooks.arrived)
        self._speaking = Speaking(self._name, connection, profile, self._user, self._boxes, self._hooks.settle)
        if profile.vouches and self._known:  # a broker that lets in whoever comes vouches for nobody
            self._vouching = Vouching(connection, profile, self._boxes.places()[0].exchange)
        self.bind()
        for to in self._boxes.places():
            self._speaking.push(to)
        self._look()

    def on_attached(self, link: Sender | Receiver) -> None:
        """See Handler."""
        if not is_attached(link):
            return
        if isinstance(link, Receiver):
            if self._hearing is not None:
                self._hearing.attached(link)
        elif self._speaking is not None:
            self._speaking.attached(link)
        self._look()

    def on_detached(self, link: Sender | Receiver, reason: str) -> None:
        """See Handler."""
        if self._vouching is not None and self._vouching.owns(link):
            self._vouching.ended(reason)
            self._look()
        elif isinstance(link, Receiver) or self._speaking is None or not self._speaking.link_ended(link, reason):
            self.engine.drop(reason)

    def on_ended(self, session: Session, reason: str) -> None:
        """See Handler."""
        if self._vouching is not None and self._vouching.is_of(session):
            self._vouching.ended(reason)
            self._look()
        elif self._speaking is None or not self._speaking.session_ended(session, reason):
            self.engine.drop(reason)

    def on_room(self, link: Sender | Receiver) -> None:
        """See Handler."""
        if self._vouching is not None and self._vouching.owns(link):
            self._vouching.room()
        elif isinstance(link, Sender) and self._speaking is not None:
            self._speaking.room(link)

    def on_message(self, link: Receiver, data: bytes) -> None:
        """See Handler."""
        if self._hearing is not None:
            self._hearing.message(link, data)

    def on_outcome(self, link: Sender, tag: str, outcome: Outcome, reason: str) -> None:
        """See Handler."""
        if self._vouching is not None and self._vouching.owns(link):
            self._vouching.outcome(outcome, reason)
            self._look()
        elif self._speaking is not None:
            self._speaking.outcome(link, tag, outcome, reason)

    def on_lost(self, reason: str) -> None:
        """See Handler."""
        if self._speaking is None and self._user:  # RabbitMQ gives no reason
            reason += ", before it let us in: the user or the password may be wrong"
        self._hooks.lost(reason)
        if self._speaking is not None:
            unknown = f"sent, but not confirmed when the connection ended, so it may arrive, or not: {reason}"
            self._speaking.abandon(BusUnreachable(self._name, unknown))
        if not self.ready.done():
            self.ready.set_exception(BusUnreachable(self._name, reason))
        if not self.lost.done():
            self.lost.set_result(reason)

    # ---- inside

    def _look(self) -> None:
        if self._hearing is None or self._speaking is None or self.ready.done():
            return
        if self._vouching is not None and self._vouching.decided:
            self._hearing.vouched = self._vouching.proven
        decided = self._vouching is None or self._vouching.decided
        if decided and self._hearing.complete and self._speaking.complete:
            if self._vouching is not None and not self._vouching.proven:
                log.warning("%s: it compares no user ids, so that no user of it is believed", self._name)
            self.ready.set_result(None)
