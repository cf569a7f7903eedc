"""Carries the hosts' messages over a bus: each host has an address of its own, and there is one for all.

What a fence depends on waits for room on the bus until its patience is over; announces and inventories are dropped
first, as others will come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from fencebus_agent.bus import Address, Bus, BusError, BusMessage, BusState, Priority, direct_exchange, topic_exchange
from fencebus_host.complaints import Complaints
from fencebus_host.routers.federated.urgency import INDICATIONS, patience_of
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE, Message
from fencebus_schemas.peer_codec import decode, encode

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/x-fencebus-peer"


class BusCarrier:
    """Implements ``Carrier`` over a ``Bus``."""

    def __init__(
        self, me: HostId, bus: Bus, keys: Sequence[bytes], domain: str = "default", clock: Clock = boottime
    ) -> None:
        """``keys`` are the bus keys: the first signs, all verify."""
        self._me, self._bus, self._keys, self._clock = me, bus, tuple(keys), clock
        self._all = Address(topic_exchange(domain), "fencebus.hosts")
        self._direct = direct_exchange(domain)
        self._complaints = Complaints()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, receive: Callable[[Message], None], connected: Callable[[], None]) -> None:
        """Subscribe, and keep the bus connected."""

        def heard(message: BusMessage) -> None:
            if (decoded := self._decoded(message)) is not None:
                receive(decoded)

        def changed(state: BusState, reason: str) -> None:
            if state is BusState.CONNECTED:
                connected()
            elif not _is_ending():
                log.warning("%s: the bus is lost: %s", self._bus.name, reason)

        self._bus.watch(changed)
        self._bus.subscribe(self._all, heard)
        self._bus.subscribe(self._address(self._me), heard)
        try:
            await self._bus.run()
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, message: Message) -> None:
        """Hand it to the bus; what the bus does not take is logged and lost."""
        task = asyncio.get_running_loop().create_task(self._send(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, message: Message) -> None:
        patience = patience_of(message)
        to = self._all if message.to == EVERYONE else self._address(message.to)
        priority = Priority.INDICATION if isinstance(message, INDICATIONS) else Priority.COMMAND
        try:
            body = BusMessage(encode(message, self._keys), CONTENT_TYPE, ttl=patience)
            await self._bus.send(to, body, Deadline.after(patience, self._clock), priority)
        except (BusError, WireError) as error:
            log.warning("a %s for %s was not sent: %s", type(message).__name__, message.to or "all", error)

    def _decoded(self, message: BusMessage) -> Message | None:
        try:
            return decode(message.body, self._keys)
        except WireError as error:
            # Whoever writes on the bus without the key is refused like a stranger at the door (S11).
            user = message.user_id or "somebody"
            held_back = self._complaints.worth_a_line(user, error.code)
            if held_back is not None:
                log.warning("a message of %s on the bus was dropped: %s (and %d before it)", user, error, held_back)
            return None

    def _address(self, host: HostId) -> Address:
        return Address(self._direct, f"fencebus.host.{host}")


def _is_ending() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
