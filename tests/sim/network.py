"""Decides what becomes of a message on its way: lost, late, doubled, overtaken, cut off, or kept for a dead daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE, Message
from tests.sim.scheduler import Scheduler, noise


class Station(Protocol):
    """A machine on the network.  Two of them may go by one name."""

    index: int
    name: HostId

    def arrive(self, message: Message) -> None:
        """A message is at its door."""


@dataclass(slots=True)
class Weather:
    """How bad the network is now; faults change it for a while."""

    loss: float = 0.0
    double: float = 0.0
    late: float = 0.0
    """The share of messages that is late, by up to ``lateness`` seconds."""
    lateness: float = 20.0
    jitter: float = 0.004
    """Seconds within which messages overtake each other."""


LATENCY = 0.001

Filter = Callable[[Station, Station, Message], float | None]
"""For schedules made by hand: seconds that a message takes, ``None`` if it is lost."""


@dataclass(slots=True)
class Network:
    """All ways between machines."""

    seed: int
    scheduler: Scheduler
    weather: Weather = field(default_factory=Weather)
    stations: list[Station] = field(default_factory=list)
    cut: dict[tuple[int, int], int] = field(default_factory=dict)
    """How many faults cut the way from one machine to another."""
    filter: Filter | None = None
    sent: int = 0

    def send(self, sender: Station, message: Message) -> None:
        """Let a message go; it may never come."""
        for station in self.stations:
            if station is not sender and (message.to == station.name or message.to == EVERYONE):
                self._carry(sender, station, message)

    def sever(self, ways: Sequence[tuple[int, int]]) -> None:
        """Cut these ways, once more if they are cut already."""
        for way in ways:
            self.cut[way] = self.cut.get(way, 0) + 1

    def mend(self, ways: Sequence[tuple[int, int]]) -> None:
        """Take back one ``sever``."""
        for way in ways:
            self.cut[way] -= 1

    def _carry(self, sender: Station, receiver: Station, message: Message) -> None:
        self.sent += 1
        if self.cut.get((sender.index, receiver.index)):
            return
        if self.filter is not None:
            delay = self.filter(sender, receiver, message)
            if delay is not None:
                self.scheduler.after(delay, partial(receiver.arrive, message))
            return
        weather = self.weather
        if self._chance(sender, receiver, 1) < weather.loss:
            return
        self.scheduler.after(self._delay(sender, receiver, 2), partial(receiver.arrive, message))
        if self._chance(sender, receiver, 4) < weather.double:
            self.scheduler.after(self._delay(sender, receiver, 5), partial(receiver.arrive, message))

    def _delay(self, sender: Station, receiver: Station, salt: int) -> float:
        weather = self.weather
        late = weather.late > 0 and self._chance(sender, receiver, salt) < weather.late
        spread = weather.lateness if late else weather.jitter
        return LATENCY + spread * self._chance(sender, receiver, salt + 1)

    def _chance(self, sender: Station, receiver: Station, salt: int) -> float:
        return noise(self.seed, self.sent, sender.index, receiver.index, salt)
