"""Turns what `iptables -S` prints into the rules that concern one packet.  Pure; for hosts without nft."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fencebus_host.ctl.doctor.packet_filter import Act, Match, Packet, Rule, Ruleset

_DOOR = "INPUT"
_ACTS = {"ACCEPT": Act.ACCEPT, "DROP": Act.DROP, "REJECT": Act.DROP, "RETURN": Act.RETURN, "LOG": Act.NOTHING}
_SILENT = ("-m", "--comment", "--reject-with", "--log-prefix", "--log-level")
_STATES = ("--ctstate", "--state")
_PORTS = ("--dport", "--dports")


def read_iptables(printed: str, packet: Packet) -> Ruleset:
    """The rules of the table `filter` for this packet."""
    chains: dict[str, list[Rule]] = {}
    doors: dict[str, Act] = {}
    for line in printed.splitlines():
        words = shlex.split(line)
        if words[:2] == ["-P", _DOOR] and len(words) == 3:
            doors[_DOOR] = _ACTS.get(words[2], Act.ACCEPT)
        elif words[:1] == ["-A"] and len(words) > 2:
            chains.setdefault(words[1], []).append(_rule(line, words[2:], packet))
    return Ruleset(chains, doors)


def _rule(line: str, words: list[str], packet: Packet) -> Rule:
    match, act, chain = Match.YES, Act.NOTHING, ""
    for negated, option, value in _options(words):
        if option in ("-j", "-g"):
            act, chain = (_ACTS[value], "") if value in _ACTS else (Act.CALL, value)
        elif option not in _SILENT:
            match = min(match, _match(negated, option, value, packet), key=lambda one: one.value)
    return Rule(f"the rule `{line}`", match, act, chain)


def _options(words: list[str]) -> Iterator[tuple[bool, str, str]]:
    """(negated, option, its values)"""
    left, negated = list(words), False
    while left:
        word = left.pop(0)
        if word == "!":
            negated = True
            continue
        values = []
        while left and left[0] != "!" and not left[0].startswith("-"):
            values.append(left.pop(0))
        yield negated, word, " ".join(values)
        negated = False


def _match(negated: bool, option: str, value: str, packet: Packet) -> Match:
    fits = _fits(option, value, packet)
    if fits is None:
        return Match.PERHAPS
    return Match.YES if fits is not negated else Match.NO


def _fits(option: str, value: str, packet: Packet) -> bool | None:
    if option == "-p":
        return value in (packet.protocol, "all")
    if option in _PORTS:
        return any(_holds(each, packet.port) for each in value.split(","))
    if option in _STATES:
        return "NEW" in value.split(",")
    if option == "-i":
        return _over(value, packet.interface)
    return None


def _over(name: str, interface: str | None) -> bool | None:
    if interface is None:
        return False if name == "lo" else None
    return interface.startswith(name[:-1]) if name.endswith("+") else interface == name


def _holds(ports: str, port: int) -> bool:
    first, _, last = ports.partition(":")
    return first.isdigit() and int(first) <= port <= int(last if last.isdigit() else first)
