"""Words between hosts, with whatever a test does not care about filled in."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from fencebus_host.effects import Effects, Kill, Look, Send
from fencebus_host.federation.member import Member, Surroundings
from fencebus_host.federation.tokens import Tokens
from fencebus_schemas.model import (
    Action,
    HostId,
    Incarnation,
    Life,
    Observation,
    Proof,
    RequestId,
    Sight,
    Source,
    Uuid,
    VmState,
)
from fencebus_schemas.peer import Fence, Guard, GuardAnswer, Message, Purpose, Quote

ME, OTHER = HostId("me"), HostId("other")
MINE, THEIRS = Incarnation("boot", "machine", "1"), Incarnation("boot", "machine-2", "1")
VM, SOURCE = Uuid("00000000-0000-4000-8000-000000000001"), Uuid("00000000-0000-4000-8000-000000000002")
ONE, TWO = RequestId("1"), RequestId("2")


def counting() -> Callable[[], str]:
    """Random words that are easy to read."""
    numbers = itertools.count(1)
    return lambda: f"word-{next(numbers)}"


def quote(token: str, patience: float = 10.0, age: float = 0.0) -> Quote:
    """For a command to this host."""
    return Quote(token, MINE, patience, age)


def guard(
    quoted: Quote, request: RequestId = ONE, purpose: Purpose = Purpose.FENCE, vm: Uuid = VM, source: Uuid | None = None
) -> Guard:
    """A guard that another host sets here."""
    return Guard(OTHER, THEIRS, ME, request, 1, purpose, vm, source, "", 0.0, quoted)


def fence(quoted: Quote, request: RequestId = ONE, source: Uuid | None = None, identity: str = "same") -> Fence:
    """An order to end the VM's life here."""
    asker = Source("operator" if source is None else source, source)
    return Fence(OTHER, THEIRS, ME, request, identity, Action.OFF, VM, asker, None, VM, "test", (), 2.0, quoted)


def answer(
    sender: HostId, sight: Sight, round_: int = 1, serial: str = "s", incarnation: Incarnation = THEIRS
) -> GuardAnswer:
    """A member's word, asked for after all that had come before."""
    return GuardAnswer(sender, incarnation, ME, ONE, round_, 1000.0, "", serial, sight)


OFF, RUNNING = Sight(VM, VmState.OFF), Sight(VM, VmState.RUNNING, life=Life("life", 1.0))


def ended(mark: str = "life") -> Observation:
    """A plain kill."""
    return Observation(VM, VmState.OFF, ME, MINE, Proof.PROCESS_EXIT, 5.0, was=VmState.RUNNING, ended=Life(mark, 1.0))


class OneMember:
    """A member and its tokens, on a clock that a test moves."""

    def __init__(self, started_at: float = -100.0, hosts: bool = False, obeys: bool = True) -> None:
        draw = counting()
        self.hosts = hosts
        self.tokens = Tokens(MINE, draw)
        around = Surroundings(lambda _order: True, lambda _vm: self.hosts, lambda: "", tuple, tuple, draw, obeys)
        self.member = Member(ME, MINE, around, self.tokens, started_at)

    def quote(self, now: float, patience: float = 10.0, age: float = 0.0) -> Quote:
        """One that is fresh now."""
        return quote(self.tokens.fresh(now), patience, age)


def said(effects: Effects) -> Message:
    """The one message that goes out."""
    (message,) = [effect.message for effect in effects if isinstance(effect, Send)]
    return message


def job_of(effects: Effects, kind: type[Look | Kill]) -> Look | Kill:
    """The one effect of that kind."""
    (effect,) = [effect for effect in effects if isinstance(effect, kind)]
    return effect
