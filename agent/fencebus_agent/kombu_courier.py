"""Decides which broker is tried when, and keeps one connection alive: the thread behind a KombuBus."""

from __future__ import annotations

import logging
import random
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fencebus_agent.bus import Address, BusUnreachable
from fencebus_agent.kombu_handover import Wake
from fencebus_agent.kombu_link import Hooks, Link, Terms
from fencebus_agent.kombu_outbox import Outbox
from fencebus_agent.kombu_url import Broker

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
"""Seconds between two rounds in which no broker of the list took us in."""
SOUND = 1.0
"""Seconds after which a connection that ends had been good: the next one is tried at once."""


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
        self._wake = Wake()
        self._stopping = False
        self._turn = 0
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
        pauses = _pauses()
        try:
            while not self._stopping:
                began = time.monotonic()
                if self._round(hooks, reports) and time.monotonic() - began > SOUND:
                    pauses = _pauses()
                else:
                    self._rest(next(pauses))
        finally:
            self._wake.close()
            reports.ended()

    def _round(self, hooks: Hooks, reports: Reports) -> bool:
        """Try each broker once, beginning after the last one; True if one took us in, for whatever time."""
        for _ in self._brokers:
            if self._stopping:
                break
            broker = self._brokers[self._turn % len(self._brokers)]
            self._turn += 1
            try:
                link = self._linked(broker, hooks)
            except Exception as error:  # noqa: BLE001 -- whatever a broker says, or a library makes of it: try on
                reports.failed(f"{broker}: {_reason(error)}")
            else:
                self._attend(broker, link, reports)
                return True
        return False

    def _linked(self, broker: Broker, hooks: Hooks) -> Link:
        link = Link(broker, self._terms, self._own, hooks)
        try:
            link.bind(self._wanted)
        except BaseException:
            link.drop()
            raise
        return link

    def _attend(self, broker: Broker, link: Link, reports: Reports) -> None:
        reports.connected()
        reason = "closed"
        try:
            self._serve(link)
            link.close()
        except Exception as error:  # what hostile bytes do to a library ends this connection, not the thread
            reason = f"{broker}: {_reason(error)}"
            log.debug("%s: the connection ends", broker, exc_info=True)
            link.drop()
        unknown = f"sent, but not confirmed when the connection ended, so it may arrive, or not: {reason}"
        link.abandon(BusUnreachable(str(broker), unknown))
        reports.lost(reason)

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


def _pauses() -> Iterator[float]:
    """Longer each time up to a limit, and never the same for all hosts."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(2 * pause, LONGEST_PAUSE)


def _reason(error: Exception) -> str:
    """The error in a line, for people."""
    return " ".join(str(error).split()) or type(error).__name__
