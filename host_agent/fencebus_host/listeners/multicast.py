"""The multicast listener: a guest sends its signed request to a group, the daemon calls it back over TCP and answers
there.

Wire: facts, fence-virt 2.3 and 2.4.  Nothing is done before the guest has taken the call and proved that it holds the
key.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.hypervisor import Presence
from fencebus_host.callbacks import MOST_UNTAKEN, Asked, CallBacks, Step, Waiting
from fencebus_host.config.model import LocalGuestsOnly, MulticastSettings
from fencebus_host.door import Admitted, fence_request
from fencebus_host.listeners.connection import Stream
from fencebus_host.listeners.group_socket import check_interface, interface_index, open_group_socket
from fencebus_host.listeners.seats import Seats
from fencebus_host.listeners.session import answer
from fencebus_host.listeners.solicitation import introduced
from fencebus_host.listeners.stream import Reception
from fencebus_host.locality import GuestLocator, Located, Origin, answers
from fencebus_host.ports import Handle
from fencebus_schemas.deadline import boottime
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Source
from fencebus_schemas.xvm import XvmRequest

log = logging.getLogger(__name__)

_BROADCAST = ipaddress.ip_address("255.255.255.255")
CONNECT_SECONDS = 5.0
"""As C: how long a guest may take to accept the call-back."""
HANG_UP_SECONDS = 2.0
LINK_SECONDS = 2.0
"""Between two looks at the interface."""

COURTESY = {Presence.ABSENT: 0.5, Presence.AT_REST: 0.1, Presence.ALIVE: 0.0}
"""Seconds that a guest's own host leaves to the host on which the target lives: the first to call is the answer."""


class Here(Protocol):
    """What this host knows of a target."""

    async def lives_here(self, target: str) -> bool:
        """Whether the VM of this name or UUID has a life on this host, asked now."""

    def presence(self, target: str) -> Presence:
        """How much of it seems to be here: a hint."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One datagram that is to be called back."""

    admitted: Admitted
    waiting: Waiting
    asked: Asked
    received_at: float
    sender: str
    """From where the datagram came, which its contents cannot say."""


class MulticastListener:
    """One multicast group on one interface."""

    def __init__(
        self,
        settings: MulticastSettings,
        reception: Reception,
        locator: GuestLocator,
        answered: Callable[[bytes], None],
        here: Here,
    ) -> None:
        self._settings = settings
        self._reception = reception
        self._locator = locator
        self._answered = answered
        self._here = here
        self._calls = CallBacks(reception.patience)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[_Call] = set()
        self._seats = Seats(MOST_UNTAKEN)
        self.name = settings.name

    def renew(self, reception: Reception) -> None:
        """Go on with other keys, hashes or patience; what is being served keeps those it began with."""
        self._reception = reception

    async def serve(self, handle: Handle, ready: Callable[[], None]) -> None:
        """Serve until cancelled; raises OSError if the group cannot be joined, or its socket or interface fails."""
        index = interface_index(self._settings)
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()
        endpoint = _Datagrams(lambda data, sender: self._received(data, sender, handle), failed)
        transport, _ = await loop.create_datagram_endpoint(lambda: endpoint, sock=open_group_socket(self._settings))
        log.info("listener=%s ready on %s port %d", self.name, self._settings.address, self._settings.port)
        ready()
        try:
            while not (await asyncio.wait({failed}, timeout=LINK_SECONDS))[0]:
                check_interface(self._settings, index)
            failed.result()
        finally:
            failed.cancel()
            transport.close()

    # -- a datagram ----------

    def _received(self, data: bytes, sender: str, handle: Handle) -> None:
        received_at = boottime()
        try:
            call = self._call_for(data, sender, received_at)
        except WireError as error:
            self._reception.refusals.tell(self.name, sender, error)
            return
        if call is None:
            return
        task = asyncio.create_task(self._call_back(call, handle), name=f"call back {call.waiting[0]}:{call.waiting[1]}")
        self._open.add(call)
        self._calls.begin(call.waiting, call.asked, task.cancel)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if evicted := self._seats.take(call.sender, call, task.cancel):
            # Who names ever new guests, where hash is none, takes the places of its own calls, not of others'.
            self._reception.refusals.tell(self.name, evicted, WireError("crowded", "too many calls that nobody takes"))

    def _call_for(self, data: bytes, sender: str, received_at: float) -> _Call | None:
        """The call that a datagram asks for, ``None`` if it is already being made; raises WireError."""
        admitted = self._reception.door.admit(data)
        wire = admitted.wire
        log.debug("listener=%s received %s", self.name, wire)
        waiting = _waiting(wire, sender, self._locator.own_address)
        asked = (admitted.action, wire.seqno, wire.domain.lower())
        step = self._calls.consider(waiting, asked)
        if step is Step.CROWDED:
            raise WireError("crowded", "too many requests are being carried out")
        if step is not Step.CALL:
            log.debug("listener=%s source=%s dropped: %s", self.name, waiting[0], step.value)
            return None
        return _Call(admitted, waiting, asked, received_at, sender)

    # -- its call-back ----------

    async def _call_back(self, call: _Call, handle: Handle) -> None:
        answered = False
        try:
            answered = await self._connect_and_answer(call, handle)
        except WireError as error:
            self._reception.refusals.tell(self.name, call.waiting[0], error)
        except OSError as error:
            refusal = WireError("no-answer", f"nobody takes the call-back at port {call.waiting[1]}: {error}")
            self._reception.refusals.tell(self.name, call.waiting[0], refusal)
        finally:
            self._end(call, answered)
            if answered and call.admitted.signature:
                self._answered(call.admitted.signature)

    def _gone(self, call: _Call) -> None:
        """A guest that breaks off before its reply and sends its datagram again is called anew: it gets the same
        outcome (S7).
        """
        self._end(call, answered=False)

    def _end(self, call: _Call, answered: bool) -> None:
        """Forget a call; idempotent."""
        if call in self._open:
            self._open.discard(call)
            self._seats.give_up(call.sender, call)
            self._calls.end(call.waiting, call.asked, answered)

    async def _connect_and_answer(self, call: _Call, handle: Handle) -> bool:
        """True if the guest has its answer."""
        located = await introduced(self._locator, call.waiting[0])
        if located.origin is not Origin.UNRESOLVED and not await self._may_answer(call, located):
            return False
        await self._leave_precedence(call, located)
        stream = await _connect(call.waiting)
        try:
            if located.origin is Origin.UNRESOLVED:
                located = self._locator.locate(call.waiting[0])
                if not await self._may_answer(call, located):
                    return False
            return await self._exchange(stream, call, located, handle)
        finally:
            stream.close()

    async def _leave_precedence(self, call: _Call, located: Located) -> None:
        """Several hosts may have heard a guest of ours; "unknown" or "off" from here must not outrun the owner's
        word.
        """
        auto = self._settings.local_guests_only is LocalGuestsOnly.AUTO
        if auto and located.origin is Origin.OWN_GUEST and call.admitted.action.has_target:
            await asyncio.sleep(COURTESY[self._here.presence(call.admitted.wire.domain)])

    async def _exchange(self, stream: Stream, call: _Call, located: Located, handle: Handle) -> bool:
        reception = self._reception
        await reception.handshake.perform(stream, call.admitted.key)
        self._calls.taken(call.waiting, call.asked)
        self._seats.give_up(call.sender, call)
        source = Source(call.waiting[0], located.vm)
        request = fence_request(call.admitted, source, self.name, reception.patience, call.received_at)
        stream.when_gone = lambda: self._gone(call)
        await answer(stream, handle, request)
        stream.when_gone = None
        # After a list C's client leaves a byte unread, which looks like a broken connection; a list changes nothing.
        return await stream.hung_up(HANG_UP_SECONDS) or not call.admitted.action.changes

    async def _may_answer(self, call: _Call, located: Located) -> bool:
        mode = self._settings.local_guests_only
        wire = call.admitted.wire
        asks = mode is LocalGuestsOnly.AUTO and located.origin in (Origin.ELSEWHERE, Origin.UNRESOLVED)
        lives_here = asks and call.admitted.action.has_target and await self._here.lives_here(wire.domain)
        if answers(mode, located.origin, lives_here):
            return True
        error = WireError("not-local", f"not a guest of this host ({located.origin.value}): {wire}")
        self._reception.refusals.tell(self.name, call.waiting[0], error)
        return False


def _waiting(wire: XvmRequest, sender: str, is_own: Callable[[str], bool]) -> Waiting:
    """Where the guest waits; raises WireError for a place at which no guest can.

    An address of this host is believed only to a datagram that this host sent: it would turn the daemon's call, and
    the access rules, to what listens here (facts: fence-virt 6.2, 19).
    """
    if not wire.address or not wire.port:
        raise WireError("no-callback", "the datagram does not say where to call back")
    address = ipaddress.ip_address(wire.address)
    mapped = address.version == 6 and address.ipv4_mapped is not None
    if address.is_multicast or address.is_unspecified or address == _BROADCAST or mapped:
        raise WireError("no-callback", f"no guest can have the address {address}")
    if str(address) != sender and is_own(str(address)) and not is_own(sender):
        raise WireError("no-callback", f"{address} is this host's own address")
    return str(address), wire.port


async def _connect(waiting: Waiting) -> Stream:
    stream = Stream(socket.socket(socket.AF_INET6 if ":" in waiting[0] else socket.AF_INET, socket.SOCK_STREAM))
    try:
        await stream.connect(waiting, CONNECT_SECONDS)
    except BaseException:
        stream.close()
        raise
    return stream


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams on."""

    def __init__(self, received: Callable[[bytes, str], None], failed: asyncio.Future[None]) -> None:
        self._received = received
        self._failed = failed

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._received(data, str(addr[0]))

    def error_received(self, exc: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._failed.done():
            self._failed.set_exception(exc or OSError("the group's socket was closed"))
