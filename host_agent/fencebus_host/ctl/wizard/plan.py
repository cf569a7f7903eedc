"""Turns the wizard's answers into a configuration, and into what is to be said to the guests' side.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencebus_host.config.commented import render_commented
from fencebus_host.config.convert.conversion import GuestNode
from fencebus_host.config.convert.made import key, section
from fencebus_host.config.load import system_host_name
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
    bus_key: Path | None = None
    """``None`` if this host is alone."""
    others: tuple[str, ...] = ()
    """The hosts that fence together with this one."""


def plan(answers: Mapping[str, str], site: Site) -> Plan:
    """The plan for all the ``answers``."""
    kind = "serial" if answers["listener"] == "vmchannel" else answers["listener"]
    hosts = members(answers["hosts"])
    items = [
        section("fence_virtd", [key("listener", kind), *_place(hosts)]),
        section("listeners", [section(kind, _listener(answers))]),
        section("backends", _backends(answers)),
    ]
    if hosts:
        items.append(section("hosts", [section("host", [key("name", name)]) for name in hosts]))
    names = members(answers["group"])
    by_name = {guest.name: guest for guest in site.guests}
    if names:
        items.append(section("groups", [section("group", _group(names, by_name, kind))]))
    file = Path(answers["key_file"]) if "key_file" in answers else None
    unknown = tuple(name for name in names if name not in by_name and name not in {g.uuid for g in site.guests})
    nodes = tuple(GuestNode(name, name) for name in names)
    bus_key = Path(answers["bus_key"]) if hosts else None
    others = tuple(name for name in hosts if name != system_host_name())
    return Plan(render_commented(items, HEAD), file, nodes, unknown, bus_key, others)


def _place(hosts: tuple[str, ...]) -> Iterator[Item]:
    yield key("backend", "qmf" if hosts else "libvirt")
    if hosts:
        yield key("host_name", system_host_name())


def _backends(answers: Mapping[str, str]) -> Iterator[Item]:
    yield section("libvirt", [key("uri", answers["uri"])])
    if "url" in answers:
        yield section("qmf", [key("url", answers["url"]), key("key_file", answers["bus_key"])])


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
