"""Decides which client of a broker in memory gets which message, when, how often, or not at all: knobs for every fault.

The delay of a line is that of the way to the broker: a message that comes late goes to the queues that are there then,
and its time to live begins there, as on real brokers.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from fencebus_agent.bus import Address, BusMessage, BusRefused
from fencebus_agent.flaws import KEY_BYTES

DIRECT_EXCHANGES = ("amq.direct", "")
QMF_EXCHANGE = re.compile(r"qmf\.[^.]+\.(topic|direct)")
"""Those of every QMF domain."""
STEP = 1e-6  # seconds between two messages of a line that would else be due at one moment: the order is kept


@dataclass(slots=True)
class Line:
    """The way from one client to another; change it at any time."""

    blocked: bool = False
    """Nothing comes through, and neither side is told."""
    loss: float = 0.0
    """How likely a message is lost, 0 to 1."""
    duplication: float = 0.0
    """How likely it comes twice."""
    delay: float = 0.0
    """Seconds that each takes."""
    jitter: float = 0.0
    """Up to so many seconds more, for each another: later ones overtake earlier ones."""
    due: float = 0.0
    """When the last one in order is due."""


class Client(Protocol):
    """What a broker knows of a client."""

    @property
    def name(self) -> str:
        """Whose line it is; the same after a restart."""

    def wants(self, to: Address) -> bool:
        """True if it is connected and a binding of its queue covers the address."""

    def arrive(self, message: BusMessage) -> None:
        """Put a message into its queue."""

    def lose(self, reason: str) -> None:
        """Its connection breaks, and its queue is gone."""


class MemoryBroker:
    """A broker without a network.  Build it on the asyncio loop; ``seed`` decides what is lost, doubled and late."""

    def __init__(self, name: str = "memory", seed: int = 0) -> None:
        self.name = name
        self._random = random.Random(seed)
        self._clients: list[Client] = []
        self._lines: dict[tuple[str, str], Line] = {}
        self._barred: set[str] = set()
        self._admission = asyncio.Event()
        self.room = asyncio.Event()
        """Set while it takes messages."""
        self._up = True
        self.room.set()

    # ---- knobs

    @property
    def up(self) -> bool:
        """False: it is down; all connections broke, all queues are gone, and nobody can connect."""
        return self._up

    @up.setter
    def up(self, on: bool) -> None:
        self._up = on
        if on:
            self._admit()
        else:
            self._lose(self._clients, "the broker is down")

    @property
    def congested(self) -> bool:
        """True: it takes nothing from anybody."""
        return not self.room.is_set()

    @congested.setter
    def congested(self, on: bool) -> None:
        if on:
            self.room.clear()
        else:
            self.room.set()

    def line(self, sender: str, receiver: str) -> Line:
        """The way from one client to another, by their names; nothing is wrong with it at first."""
        return self._lines.setdefault((sender, receiver), Line())

    def part(self, senders: Iterable[str], receivers: Iterable[str], *, one_way: bool = False) -> None:
        """Nothing goes from these to those any more, nor back unless ``one_way``; nobody is told."""
        pairs = [(sender, receiver) for sender in senders for receiver in tuple(receivers)]
        for sender, receiver in pairs:
            self.line(sender, receiver).blocked = True
            if not one_way:
                self.line(receiver, sender).blocked = True

    def mend(self) -> None:
        """Every line is as good as new."""
        self._lines.clear()

    def bar(self, name: str) -> None:
        """The connection of this client breaks, and it gets none until ``admit``."""
        self._barred.add(name)
        self.sever(name)

    def admit(self, name: str) -> None:
        """It may connect again."""
        self._barred.discard(name)
        self._admit()

    def sever(self, name: str) -> None:
        """Its connection breaks once; it comes back at once."""
        self._lose([client for client in self._clients if client.name == name], "connection lost")

    # ---- for the clients

    async def admission(self, name: str) -> None:
        """Return when a client of that name may connect."""
        while not self._up or name in self._barred:
            self._admission.clear()
            await self._admission.wait()

    def join(self, client: Client) -> None:
        """It has connected."""
        self._clients.append(client)

    def leave(self, client: Client) -> None:
        """It is not connected any more."""
        if client in self._clients:
            self._clients.remove(client)

    def check(self, to: Address) -> None:
        """Raises BusRefused for an address to which nothing can be sent."""
        if to.exchange not in DIRECT_EXCHANGES and not QMF_EXCHANGE.fullmatch(to.exchange):
            raise BusRefused(self.name, f"no exchange {to.exchange!r}")
        if len(to.key.encode()) > KEY_BYTES:
            raise BusRefused(self.name, f"a routing key of more than {KEY_BYTES} bytes")

    def route(self, sender: str, message: BusMessage) -> None:
        """Carry a message to every client that wants it, as its line allows."""
        for receiver in dict.fromkeys([client.name for client in self._clients]):
            line = self.line(sender, receiver)
            for _ in range(self._copies(line)):
                self._carry(line, receiver, message)

    # ---- inside

    def _copies(self, line: Line) -> int:
        if line.blocked or self._random.random() < line.loss:
            return 0
        return 2 if self._random.random() < line.duplication else 1

    def _carry(self, line: Line, receiver: str, message: BusMessage) -> None:
        loop = asyncio.get_running_loop()
        if not line.delay and not line.jitter:
            self._arrive(receiver, message)
            return
        due = loop.time() + line.delay + self._random.random() * line.jitter
        if not line.jitter:
            due = line.due = max(due, line.due + STEP)
        loop.call_at(due, self._arrive, receiver, message)

    def _arrive(self, receiver: str, message: BusMessage) -> None:
        for client in tuple(self._clients):
            if client.name == receiver and client.wants(message.to):
                client.arrive(message)

    def _admit(self) -> None:
        self._admission.set()

    def _lose(self, clients: Iterable[Client], reason: str) -> None:
        for client in tuple(clients):
            client.lose(reason)
