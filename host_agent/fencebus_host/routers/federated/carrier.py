"""The port to whatever carries messages between hosts, and the port to the disk that keeps what must not be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fencebus_host.effects import AskProof, Kept
from fencebus_host.host_death import Finding
from fencebus_schemas.peer import Message


class Carrier(Protocol):
    """Carries signed messages between the members; may lose, delay, double and reorder them."""

    @property
    def trouble(self) -> str | None:
        """What keeps the other hosts from being reached, for people; ``None`` if nothing does."""

    async def run(self, receive: Callable[[Message], None], connected: Callable[[], None]) -> None:
        """Keep the connection, give every message whose signature holds to ``receive``, call ``connected`` whenever
        others can be reached again; returns only when cancelled.  May be called again after it has failed.
        """

    def send(self, message: Message) -> None:
        """Give a message away; never blocks, never fails: what cannot be sent now is lost."""


@dataclass(frozen=True, slots=True)
class Link:
    """By what a carrier reaches the other hosts."""

    to: str
    """For people, without a password."""
    is_up: bool
    quorate: bool | None = None
    """Whether those whom it reaches are the majority; ``None`` where nobody counts."""


@runtime_checkable
class Linked(Protocol):
    """A carrier that knows its connection."""

    @property
    def link(self) -> Link:
        """As it is now."""


@runtime_checkable
class Keyed(Protocol):
    """A carrier whose keys may change while it runs."""

    def renew(self, keys: Sequence[bytes]) -> None:
        """Sign with the first of these keys, and believe all of them, from now on."""


class Keeper(Protocol):
    """Writes records."""

    async def keep(self, record: Kept) -> bool:
        """True once the record is on the disk; false if it cannot be, which was logged."""


class Witnesses(Protocol):
    """Know whether other hosts are dead."""

    async def run(self) -> None:
        """Whatever has to go on between two questions; returns only when cancelled."""

    async def ask(self, question: AskProof) -> Finding:
        """What they say, by ``question.until``; never raises, never guesses."""
