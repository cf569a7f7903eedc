"""Decides which broker is tried when, and keeps one connection alive: the thread behind a KombuBus."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from fencebus_agent.bus import Address, BusUnreachable
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_handover import Wake
from fencebus_agent.kombu_link import Hooks, Link
from fencebus_agent.outbox import Outbox
from fencebus_agent.pauses import SOUND, pauses
from fencebus_schemas.bus_url import Broker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reports:
    """What is called in the thread."""

    connected: Callable[[], None]
    lost: Callable[[str], None]
    """The connection is gone; the reason is for people."""
    failed: Callable[[str], None]
    """There is still none."""
    ended: Callable[[], None]
    """The last call."""


class Courier:
    """``run`` is the thread; the rest may be called from any other one."""

    def __init__(self, brokers: Sequence[Broker], terms: Terms, own: Address, outbox: Outbox) -> None:
        self._brokers, self._terms, self._own, self._outbox = tuple(brokers), terms, own, outbox
        self._turns = cycle(self._brokers)
        self._wake = Wake()
        self._stopping = False
        self._wanted: tuple[Address, ...] = ()

    def want(self, addresses: Sequence[Address]) -> None:
        """From now on what is sent to these is to come."""
        self._wanted = tuple(addresses)
        self._wake.set()

    def look(self) -> None:
        """There is something in the outbox."""
        self._wake.set()

    def stop(self) -> None:
        """End, soon: at once unless a connection is just being made."""
        self._stopping = True
        self._wake.set()

    # ---- in the thread

    def run(self, hooks: Hooks, reports: Reports) -> None:
        """Connect, serve, heal, until ``stop``."""
        waits = pauses()
        try:
            while not self._stopping:
                began = time.monotonic()
                if self._round(hooks, reports) and time.monotonic() - began > SOUND:
                    waits = pauses()
                else:
                    self._rest(next(waits))
        finally:
            self._wake.close()
            reports.ended()

    def _round(self, hooks: Hooks, reports: Reports) -> bool:
        """Try each broker once, beginning after the last one; True if one took us in, for whatever time."""
        for broker in islice(self._turns, len(self._brokers)):
            if self._stopping:
                break
            if self._connection(broker, hooks, reports):
                return True
        return False

    def _connection(self, broker: Broker, hooks: Hooks, reports: Reports) -> bool:
        """One connection, from its making to its end; True if the broker took us in."""
        link: Link | None = None
        reason = "closed"
        try:
            link = self._linked(broker, hooks)
            reports.connected()
            self._serve(link)
            link.close()
        except Exception as error:  # the root of a connection: what hostile bytes do to a library ends no more than it
            reason = f"{broker}: {_reason(error)}"
            log.debug("%s: the connection ends", broker, exc_info=True)
        if link is None:
            reports.failed(reason)
            return False
        link.drop()
        unknown = f"sent, but not confirmed when the connection ended, so it may arrive, or not: {reason}"
        link.abandon(BusUnreachable(str(broker), unknown))
        reports.lost(reason)
        return True

    def _linked(self, broker: Broker, hooks: Hooks) -> Link:
        link = Link(broker, self._terms, self._own, hooks)
        try:
            link.bind(self._wanted)
        except BaseException:
            link.drop()
            raise
        return link

    def _serve(self, link: Link) -> None:
        poll = select.poll()
        poll.register(link.fileno(), select.POLLIN)
        poll.register(self._wake.fileno(), select.POLLIN)
        every = self._terms.heartbeat / 4
        beat_at = time.monotonic() + every
        while not self._stopping:
            self._wake.clear()
            link.read()
            link.bind(self._wanted)
            self._send(link)
            if time.monotonic() >= beat_at:
                link.beat()
                beat_at = time.monotonic() + every
            poll.poll(0 if link.pending else max(0.0, beat_at - time.monotonic()) * 1000)

    def _send(self, link: Link) -> None:
        while link.takes_more and (parcel := self._outbox.take()) is not None:
            try:
                link.publish(parcel)
            except BaseException:
                self._outbox.give_back(parcel)
                raise

    def _rest(self, seconds: float) -> None:
        """Wait, unless it is to end."""
        poll = select.poll()
        poll.register(self._wake.fileno(), select.POLLIN)
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            poll.poll(left * 1000)
            self._wake.clear()


def _reason(error: Exception) -> str:
    """The error in a line, for people."""
    return " ".join(str(error).split()) or type(error).__name__
