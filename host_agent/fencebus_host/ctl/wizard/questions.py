"""Decides what the wizard has to ask: only what a look at the host cannot answer.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fencebus_host.config.addresses import can_be_bound
from fencebus_host.config.bus_keys import bus_urls
from fencebus_host.config.bus_settings import DEFAULT_BUS_KEY
from fencebus_host.config.load import system_host_name
from fencebus_host.config.model import DEFAULT_KEY, DEFAULT_URI
from fencebus_host.config.values import BadValueError, host_id, interface
from fencebus_host.ctl.survey import Site

LISTENERS = ("multicast", "tcp", "vsock", "serial", "vmchannel")
NONE = "none"
_URI = re.compile(r"[a-z][a-z0-9+.-]*:\S*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know.  ``sure``: the host has only one answer, so nobody needs to be asked."""

    name: str
    text: str
    suggestion: str
    why: str
    sure: bool = False
    choices: tuple[str, ...] = ()

    def checked(self, answer: str) -> str:
        """``answer`` without blanks around; BadValueError if it cannot be used."""
        text = answer.strip().lower() if self.choices else answer.strip()
        if self.choices and text not in self.choices:
            raise BadValueError(f"{self.name} is one of {', '.join(self.choices)}")
        if any(sign in text for sign in '"\n\0'):
            raise BadValueError(f"{self.name} cannot hold a quote")
        _CHECKS.get(self.name, str)(text)
        return text


def first_questions(site: Site) -> tuple[Question, ...]:
    """What decides which other questions there are."""
    return (_uri(site), _listener(site), _hosts(site))


def further_questions(site: Site, answers: Mapping[str, str]) -> tuple[Question, ...]:
    """What the chosen listener needs, and who may fence whom."""
    listener = answers["listener"]
    found = []
    if listener == "multicast":
        found.append(_interface(site))
    if listener == "tcp":
        text = "Address that the guests can reach, on which the daemon listens"
        found.append(Question("address", text, "0.0.0.0", "the guests' network is not known; 0.0.0.0 is every address"))
    if listener in ("multicast", "tcp", "vsock"):
        text = "Key that host and guests share"
        found.append(_key(text, site))
    if names := members(answers["hosts"]):
        found.append(_url(site, names))
        found.append(
            Question("bus_key", "Key that the hosts share", str(DEFAULT_BUS_KEY), "the usual place", sure=True)
        )
    return (*found, _group(site))


def known_names() -> tuple[str, ...]:
    """Everything that ``--set`` takes."""
    return ("uri", "listener", "hosts", "interface", "address", "key_file", "url", "bus_key", "group")


def _key(text: str, site: Site) -> Question:
    if site.key_in_use:
        return Question(
            "key_file", text, site.key_in_use, "the one of the file that is here: guests have it", sure=True
        )
    return Question("key_file", text, str(DEFAULT_KEY), "the usual place", sure=True)


def _uri(site: Site) -> Question:
    live = [one.uri for one in site.hypervisors if not one.trouble]
    why = f"{len(live)} hypervisors answer" if live else "no hypervisor answers"
    suggestion = live[0] if live else DEFAULT_URI
    return Question("uri", "Libvirt URI", suggestion, why, sure=len(live) == 1)


def _listener(site: Site) -> Question:
    running = [guest for guest in site.guests if guest.running] or list(site.guests)
    text = "How the guests reach this host"
    if running and site.vsock and all(guest.vsock for guest in running):
        return Question("listener", text, "vsock", "every guest has a vsock device", True, LISTENERS)
    if running and all(guest.serial for guest in running) and not site.bridges:
        return Question("listener", text, "serial", "every guest has a serial line, and no bridge", True, LISTENERS)
    if site.bridges:
        return Question("listener", text, "multicast", "there is a bridge", len(site.bridges) == 1, LISTENERS)
    return Question("listener", text, "tcp", "there is no bridge for multicast", False, LISTENERS)


def _hosts(site: Site) -> Question:
    text = f"Hosts that fence together, with commas between them, {system_host_name()} among them; none if it is alone"
    why = "a message broker is here" if site.broker_ports else "no message broker is here; --set hosts=a,b if they are"
    return Question("hosts", text, NONE, why, sure=not site.broker_ports)


def _url(site: Site, names: tuple[str, ...]) -> Question:
    if site.broker_ports:
        suggestion = f"amqp://{system_host_name()}:PASSWORD@localhost:{site.broker_ports[0]}"
        return Question("url", "Message bus of the hosts", suggestion, "a broker is here")
    why = "direct links need no broker; amqp://USER:PASSWORD@HOST is one"
    return Question("url", "Message bus of the hosts", f"peers://{','.join(names)}", why)


def _check_hosts(text: str) -> None:
    names = members(text)
    for name in names:
        host_id(name)
    if names and system_host_name() not in names:
        raise BadValueError(f"hosts has to name this one too, {system_host_name()}")


def _check_uri(text: str) -> None:
    if not _URI.fullmatch(text):
        raise BadValueError("uri is one of libvirt's, such as qemu:///system")


def _check_address(text: str) -> None:
    if not can_be_bound(text):
        raise BadValueError(f"{text} is neither an IP address nor a host name")


def _check_file(text: str) -> None:
    if not text.startswith("/"):
        raise BadValueError("a key's file is a path from the root")


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "uri": _check_uri,
    "hosts": _check_hosts,
    "interface": interface,
    "address": _check_address,
    "key_file": _check_file,
    "bus_key": _check_file,
    "url": bus_urls,
}
"""What an answer must be, so that it is not refused when all has been answered; BadValueError says why not."""


def _interface(site: Site) -> Question:
    text = "Bridge of the guests"
    if not site.bridges:
        return Question("interface", text, NONE, "there is no bridge yet; none leaves the choice to the kernel")
    return Question("interface", text, site.bridges[0], _count(site.bridges, "bridge"), len(site.bridges) == 1)


def _group(site: Site) -> Question:
    names = ", ".join(guest.name for guest in site.guests) or "no guest found"
    return Question(
        "group",
        "VMs that may fence each other, with commas between them; none lets everybody fence everybody",
        NONE,
        f"guests: {names}",
    )


def members(answer: str) -> tuple[str, ...]:
    """The VMs of a group, or the hosts, from the answer."""
    return () if answer in (NONE, "") else tuple(name.strip() for name in answer.split(",") if name.strip())


def _count(names: Iterable[str], what: str) -> str:
    found = list(names)
    return f"{len(found)} {what}{'s' if len(found) != 1 else ''}: {', '.join(found)}"
