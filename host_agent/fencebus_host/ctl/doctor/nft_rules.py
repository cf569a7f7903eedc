"""Turns what `nft -j list ruleset` prints into the rules that concern one packet.  Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase

from fencebus_host.ctl.doctor.packet_filter import Act, Match, Packet, Rule, Ruleset

_ACTS = {"accept": Act.ACCEPT, "drop": Act.DROP, "reject": Act.DROP, "return": Act.RETURN}
_CALLS = ("jump", "goto")
_HARMLESS = ("counter", "log", "comment")
_TARGETS = {"REJECT": Act.DROP, "DROP": Act.DROP, "ACCEPT": Act.ACCEPT}
_NEW = "new"
"""A request begins a connection."""


def read_nft(printed: str, packet: Packet) -> Ruleset:
    """The rules for this packet; none if what was printed is not nft's."""
    chains: dict[str, list[Rule]] = {}
    doors: dict[str, Act] = {}
    families = ("inet", "ip6" if packet.ipv6 else "ip")
    for kind, entry in _entries(printed):
        if entry.get("family") not in families:
            continue
        if kind == "chain":
            chains.setdefault(_name(entry, entry.get("name")), [])
            if entry.get("hook") == "input" and entry.get("type") == "filter":
                doors[_name(entry, entry.get("name"))] = _ACTS.get(str(entry.get("policy")), Act.ACCEPT)
        elif kind == "rule":
            chains.setdefault(_name(entry, entry.get("chain")), []).append(_rule(entry, packet))
    return Ruleset(chains, doors)


def _entries(printed: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        whole: object = json.loads(printed)
    except ValueError:
        return
    listed = whole.get("nftables") if isinstance(whole, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict):
            yield from ((str(kind), entry) for kind, entry in each.items() if isinstance(entry, dict))


def _name(entry: Mapping[str, object], chain: object) -> str:
    return f"{entry.get('family')} {entry.get('table')} {chain}"


def _rule(entry: Mapping[str, object], packet: Packet) -> Rule:
    match, act, chain = Match.YES, Act.NOTHING, ""
    expressions = entry.get("expr")
    for each in expressions if isinstance(expressions, list) else ():
        for word, value in each.items() if isinstance(each, dict) else ():
            found = _act(word, value)
            if found is not None:
                act = found
            elif word in _CALLS and isinstance(value, dict):
                act, chain = Act.CALL, _name(entry, value.get("target"))
            elif word not in _HARMLESS:
                match = min(match, _match(word, value, packet), key=lambda one: one.value)
    return Rule(f"a rule of the chain {_name(entry, entry.get('chain'))}", match, act, chain)


def _act(word: str, value: object) -> Act | None:
    # What iptables wrote and nft has no word for is shown as iptables' own target.
    if word == "xt" and isinstance(value, dict) and value.get("type") == "target":
        return _TARGETS.get(str(value.get("name")))
    return _ACTS.get(word)


def _match(word: str, value: object, packet: Packet) -> Match:
    if word != "match" or not isinstance(value, dict):
        return Match.PERHAPS
    fits = _fits(value.get("left"), value.get("right"), packet)
    if fits is None:
        return Match.PERHAPS
    return Match.YES if fits is (value.get("op") != "!=") else Match.NO


def _fits(left: object, right: object, packet: Packet) -> bool | None:
    """Whether the packet has this property; ``None`` if that cannot be told."""
    key = _key_of(left)
    if key in ("iifname", "iif"):
        return _over(right, packet.interface)
    known = _properties(packet).get(key)
    return None if known is None else any(known(one) for one in _values(right))


def _over(right: object, interface: str | None) -> bool | None:
    names = [str(one) for one in _values(right)]
    if interface is None:
        return False if names == ["lo"] else None
    return any(fnmatchcase(interface, name) for name in names)


def _properties(packet: Packet) -> Mapping[str, Callable[[object], bool]]:
    other = "tcp" if packet.protocol == "udp" else "udp"
    return {
        f"{packet.protocol} dport": lambda one: _holds(one, packet.port),
        "th dport": lambda one: _holds(one, packet.port),
        f"{other} dport": lambda _: False,
        "l4proto": lambda one: one == packet.protocol,
        "ip protocol": lambda one: one == packet.protocol,
        "nfproto": lambda one: one == ("ipv6" if packet.ipv6 else "ipv4"),
        "state": lambda one: one == _NEW,
    }


def _key_of(left: object) -> str:
    if not isinstance(left, dict):
        return ""
    for kind in ("meta", "ct"):
        inner = left.get(kind)
        if isinstance(inner, dict):
            return str(inner.get("key"))
    inner = left.get("payload")
    return f"{inner.get('protocol')} {inner.get('field')}" if isinstance(inner, dict) else ""


def _values(right: object) -> list[object]:
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        return list(right["set"])
    return list(right) if isinstance(right, list) else [right]


def _holds(one: object, port: int) -> bool:
    if isinstance(one, dict) and isinstance(one.get("range"), list):
        first, last = one["range"][0], one["range"][-1]
        return isinstance(first, int) and isinstance(last, int) and first <= port <= last
    return one == port
