"""Decides whether a packet filter lets a listener's requests in.  Pure: the rules were read by somebody else.

What cannot be told from the rules alone (a source address, a rate, a mark) is "perhaps": a rule that perhaps accepts
makes the answer "some pass", one that perhaps drops is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

DEEPEST = 16
"""Chains that call each other; the kernel allows as many."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A guest's request: by ``udp`` or ``tcp``, to a port, perhaps over one interface; IPv6 or IPv4."""

    protocol: str
    port: int
    interface: str | None
    ipv6: bool

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"


class Match(Enum):
    """Whether a rule concerns the packet."""

    NO = 0
    PERHAPS = 1
    YES = 2


class Act(Enum):
    """What a rule does with the packet that it concerns."""

    NOTHING = "nothing"
    ACCEPT = "accept"
    DROP = "drop"
    CALL = "call"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as far as it concerns one packet.  ``chain``: which one it calls."""

    text: str
    match: Match
    act: Act
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The chains by name; ``doors`` are those through which all that comes in must pass, with their policies."""

    chains: Mapping[str, Sequence[Rule]]
    doors: Mapping[str, Act]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the packet: accepted, dropped, or neither (``NOTHING``); which rule says so, and for whom not."""

    act: Act
    by: str = ""
    some_pass: bool = False


def fate(rules: Ruleset) -> Fate:
    """The worst that any door has for the packet: each has to let it in."""
    found = [_at_door(rules, name) for name in rules.doors]
    dropped = [each for each in found if each.act is Act.DROP]
    return min(dropped, key=lambda each: each.some_pass, default=Fate(Act.ACCEPT))


def _at_door(rules: Ruleset, name: str) -> Fate:
    found = _walk(rules, name, 0)
    if found.act is not Act.NOTHING:
        return found
    return Fate(rules.doors[name], f"the policy of the chain {name}", found.some_pass)


def _walk(rules: Ruleset, name: str, depth: int) -> Fate:
    some = False
    for rule in rules.chains.get(name, ()) if depth < DEEPEST else ():
        if rule.match is Match.NO or rule.act is Act.NOTHING:
            continue
        found = _walk(rules, rule.chain, depth + 1) if rule.act is Act.CALL else Fate(rule.act, rule.text)
        some = some or found.some_pass or (found.act is Act.ACCEPT and rule.match is Match.PERHAPS)
        if rule.match is Match.YES and found.act is Act.RETURN:
            break
        if rule.match is Match.YES and found.act in (Act.ACCEPT, Act.DROP):
            return Fate(found.act, found.by, some)
    return Fate(Act.NOTHING, "", some)
