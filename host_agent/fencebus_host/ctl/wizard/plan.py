"""Turns the wizard's answers into a configuration, and into what is to be said to the guests' side.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.config.commented import render_commented
from fencebus_host.config.convert.conversion import GuestNode
from fencebus_host.config.convert.made import key, section
from fencebus_host.config.tree import Item
from fencebus_host.ctl.survey import Guest, Site
from fencebus_host.ctl.wizard.questions import NONE, members

HEAD = ("Made by `fence_virtctl config wizard`.", "Check it after a change: fence_virtctl config check")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the wizard is going to write and to say."""

    text: str
    key_file: Path | None
    """``None`` if the listener needs no key."""
    nodes: tuple[GuestNode, ...]
    """The guests' nodes, called like their VMs; empty if nobody said which."""
    unknown: tuple[str, ...]
    """Members of the group that no hypervisor here has: perhaps VMs of another host, perhaps slips."""


def plan(answers: Mapping[str, str], site: Site) -> Plan:
    """The plan for all the ``answers``."""
    kind = "serial" if answers["listener"] == "vmchannel" else answers["listener"]
    items = [
        section("fence_virtd", [key("listener", kind), key("backend", "libvirt")]),
        section("listeners", [section(kind, _listener(answers))]),
        section("backends", [section("libvirt", [key("uri", answers["uri"])])]),
    ]
    names = members(answers["group"])
    by_name = {guest.name: guest for guest in site.guests}
    if names:
        items.append(section("groups", [section("group", _group(names, by_name, kind))]))
    file = Path(answers["key_file"]) if "key_file" in answers else None
    unknown = tuple(name for name in names if name not in by_name and name not in {g.uuid for g in site.guests})
    nodes = tuple(GuestNode(name, name) for name in names)
    return Plan(render_commented(items, HEAD), file, nodes, unknown)


def _listener(answers: Mapping[str, str]) -> Iterator[Item]:
    if "key_file" in answers:
        yield key("key_file", answers["key_file"])
    if answers["listener"] == "vmchannel":
        yield key("mode", "vmchannel")
    for name in ("interface", "address"):
        if answers.get(name, NONE) != NONE:
            yield key(name, answers[name])


def _group(names: tuple[str, ...], known: Mapping[str, Guest], kind: str) -> Iterator[Item]:
    yield key("name", "cluster")
    for name in names:
        yield key("uuid", known[name].uuid if name in known else name)
    if kind in ("multicast", "tcp"):
        # A source is an address there, and which guest has which address only its administrator knows.
        yield key("ip", "0.0.0.0/0")
        yield key("ip", "::/0")
