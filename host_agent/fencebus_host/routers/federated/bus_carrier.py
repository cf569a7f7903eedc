"""Carries the hosts' messages over a bus: each host has an address of its own, and there is one for all.

What a fence depends on waits for room on the bus until its patience is over; announces and inventories are dropped
first, as others will come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence

from fencebus_agent.bus import (
    Address,
    Bus,
    BusError,
    BusMessage,
    BusState,
    Priority,
    Renewable,
    direct_exchange,
    topic_exchange,
)
from fencebus_host.acquaintance import SILENT_AFTER
from fencebus_host.complaints import Complaints
from fencebus_host.log_fields import about
from fencebus_host.routers.federated.carrier import Link
from fencebus_host.routers.federated.urgency import INDICATIONS, patience_of
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId, Reason
from fencebus_schemas.peer import EVERYONE, FenceAnswer, Message, StartAnswer
from fencebus_schemas.peer_codec import decode, encode

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/x-fencebus-peer"
FIRST_SECONDS = 2.0
"""After which it is said, again and again, what keeps the bus from its first connection."""


class BusCarrier:
    """Implements ``Carrier`` over a ``Bus``."""

    def __init__(
        self,
        me: HostId,
        bus: Bus,
        keys: Sequence[bytes],
        domain: str = "default",
        clock: Clock = boottime,
        hosts: Collection[HostId] = (),
    ) -> None:
        """``keys`` are the bus keys: the first signs, all verify; ``hosts`` the configured members, if any are."""
        self._me, self._keys, self._clock, self._hosts = me, tuple(keys), clock, frozenset(hosts)
        self._all = Address(topic_exchange(domain), "fencebus.hosts")
        self._direct = direct_exchange(domain)
        self._complaints = Complaints()
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscribed = False
        self._receive: Callable[[Message], None] = lambda _message: None
        self._connected: Callable[[], None] = lambda: None
        self.bus = bus
        """For whoever else speaks on it: the carrier runs it."""
        self._unreached: str | None = f"{bus.name}: not connected yet"
        self._stranger = (float("-inf"), "")
        """When somebody was last heard who does not fit in, and why."""

    @property
    def trouble(self) -> str | None:
        """See the port; and that hosts seem to have different keys, or each other's logins: nothing of them counts."""
        at, why = self._stranger
        if self._unreached is None and self._clock() - at < SILENT_AFTER:
            return why
        return self._unreached

    @property
    def link(self) -> Link:
        """The bus; that hosts on it do not understand each other is a trouble, and it is connected all the same."""
        return Link(self.bus.name, self._unreached is None)

    def renew(self, keys: Sequence[bytes]) -> None:
        """Sign with the first of these keys, and believe all of them, from now on."""
        self._keys = tuple(keys)
        if isinstance(self.bus, Renewable):
            self.bus.renew(keys)

    async def run(self, receive: Callable[[Message], None], connected: Callable[[], None]) -> None:
        """Subscribe, and keep the bus connected."""
        self._receive, self._connected = receive, connected
        self._subscribe()
        self._spawn(self._say_why())
        try:
            await self.bus.run()
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _say_why(self) -> None:
        """Until the first connection: what is in its way."""
        while True:
            try:
                return await self.bus.wait_connected(Deadline.after(FIRST_SECONDS, self._clock))
            except BusError as error:
                self._unreached = str(error)

    def _subscribe(self) -> None:
        if self._subscribed:  # it may run again after a failure
            return
        self._subscribed = True
        self.bus.watch(self._changed)
        self.bus.subscribe(self._all, self._heard)
        self.bus.subscribe(self._address(self._me), self._heard)

    def _heard(self, message: BusMessage) -> None:
        decoded = self._decoded(message)
        if decoded is not None and not self._is_anothers(message.user_id, decoded.sender):
            self._receive(decoded)

    def _changed(self, state: BusState, reason: str) -> None:
        if state is BusState.CONNECTED:
            self._unreached = None
            self._connected()
        elif not _is_ending():
            self._unreached = f"{self.bus.name} is lost: {reason}"
            log.warning("%s: the bus is lost: %s", self.bus.name, reason)

    def send(self, message: Message) -> None:
        """Hand it to the bus; what the bus does not take is logged and lost."""
        if isinstance(message, FenceAnswer | StartAnswer) and message.refusal is not None:
            self._say_refused(message, message.refusal)
        self._spawn(self._send(message))

    def _say_refused(self, answer: FenceAnswer | StartAnswer, reason: Reason) -> None:
        """An order that came too late, or for which its host's groups are not open, has done nothing here (S6, S12)."""
        held_back = self._complaints.worth_a_line(answer.to, reason.value)
        if held_back is not None:
            text = "an order of %s was refused: request=%s reason=%s %s (and %d before it)"
            fields = about(request_id=answer.request, event="refused", reason=reason.value)
            log.info(text, answer.to, answer.request, reason.value, answer.text, held_back, extra=fields)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, message: Message) -> None:
        patience = patience_of(message)
        to = self._all if message.to == EVERYONE else self._address(message.to)
        priority = Priority.INDICATION if isinstance(message, INDICATIONS) else Priority.COMMAND
        try:
            body = BusMessage(encode(message, self._keys), CONTENT_TYPE, ttl=patience)
            await self.bus.send(to, body, Deadline.after(patience, self._clock), priority)
        except (BusError, WireError) as error:
            # One fence tells every member, and tells them again: a bus that is down is worth one line, not hundreds.
            held_back = self._complaints.worth_a_line("unsent", type(error).__name__)
            if held_back is not None:
                kind, whom = type(message).__name__, message.to or "all"
                log.warning("a %s for %s was not sent: %s (and %d before it)", kind, whom, error, held_back)

    def _decoded(self, message: BusMessage) -> Message | None:
        try:
            return decode(message.body, self._keys)
        except WireError as error:
            # Whoever writes on the bus without the key is refused like a stranger at the door (S11).
            user = message.user_id or "somebody"
            if error.code == "signature":
                self._stranger = self._clock(), f"{user} on the bus signs with another key than this host"
            held_back = self._complaints.worth_a_line(user, error.code)
            if held_back is not None:
                log.warning("a message of %s on the bus was dropped: %s (and %d before it)", user, error, held_back)
            return None

    def _is_anothers(self, user: str, sender: HostId) -> bool:
        """The broker vouches for the login of one host, and the message is signed as another's: no host speaks for
        another, though all have the key.  What comes by a login that is no host's says nothing of who sends.
        """
        if user == sender or user not in self._hosts:
            return False
        self._stranger = self._clock(), f"messages of {sender} come by the login of {user}"
        held_back = self._complaints.worth_a_line(user, "sender")
        if held_back is not None:
            text = "a message of %s on the bus was dropped: it came by the login of %s (and %d before it)"
            log.warning(text, sender, user, held_back)
        return True

    def _address(self, host: HostId) -> Address:
        return Address(self._direct, f"fencebus.host.{host}")


def _is_ending() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
