"""Decides what a site's description means: which hosts there are, which brokers, who else may look.

Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fencebus_schemas.errors import FencebusError

Item = TypeVar("Item")

TLS_PORT = 5671
NODE = "rabbit"
DOMAIN = "default"
VHOST, LINK_USER = "fencebus", "fencebus_link"
"""Of that domain; others have theirs by their own names."""
MOST_BROKERS = 3
"""Brokers of a cluster, if nobody says how many: three outvote one that is cut off."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_PLACE = re.compile(r"(?:(?P<node>[^@]*)@)?(?P<address>\[[^]]*\]|[^:]*)(?::(?P<port>.*))?")


class SiteError(FencebusError):
    """A site's description means nothing that could be set up.  ``problems`` are for people, all of them at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker, and how it is reached."""

    address: str
    port: int = TLS_PORT
    node: str = NODE
    """The first part of its name among RabbitMQ's nodes."""

    @property
    def name(self) -> str:
        """What RabbitMQ calls it, and its folder."""
        return f"{self.node}@{self.address}"

    @property
    def is_ip(self) -> bool:
        """True if it is reached by an IP address rather than by a name."""
        return _is_ip(self.address)

    @property
    def location(self) -> str:
        """Address and port, as a URL spells them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Site:
    """Hosts, and the brokers between them."""

    hosts: tuple[str, ...]
    brokers: tuple[Broker, ...]
    federated: bool = False
    """True: brokers on their own that pass messages on; False: one cluster."""
    domain: str = DOMAIN
    """The QMF domain: which exchanges."""
    watchers: tuple[str, ...] = ("watcher",)
    """Users who may look, and nothing else."""
    operators: tuple[str, ...] = ()
    """Users who may ask an agent to act; the hosts' own configuration has to trust them, too."""
    amqp1: tuple[str, ...] = ()
    """Hosts that speak AMQP 1.0 where the others speak 0-9-1."""

    @property
    def topic(self) -> str:
        """The exchange for whoever listens."""
        return f"qmf.{self.domain}.topic"

    @property
    def direct(self) -> str:
        """The exchange for one receiver."""
        return f"qmf.{self.domain}.direct"

    @property
    def vhost(self) -> str:
        """RabbitMQ's virtual host, one for each domain: rights, exchanges and links of several do not get mixed up."""
        return VHOST if self.domain == DOMAIN else f"{VHOST}-{self.domain}"

    @property
    def link_user(self) -> str:
        """As whom federated brokers go to each other."""
        return LINK_USER if self.domain == DOMAIN else f"{LINK_USER}_{self.domain}"

    @property
    def clustered(self) -> bool:
        """True if the brokers are nodes of one cluster."""
        return len(self.brokers) > 1 and not self.federated

    def brokers_of(self, host: str) -> tuple[Broker, ...]:
        """The brokers in the order in which a host tries them: its own machine's first, else they share the hosts."""
        own = [at for at, broker in enumerate(self.brokers) if broker.address.partition(".")[0] == host]
        first = own[0] if own else self.hosts.index(host) % len(self.brokers) if host in self.hosts else 0
        return (*self.brokers[first:], *self.brokers[:first])


def site(
    hosts: str,
    brokers: str = "",
    *,
    federated: bool = False,
    domain: str = DOMAIN,
    watchers: str = "watcher",
    operators: str = "",
    amqp1: str = "",
) -> Site:
    """The site that lists with commas describe; raises SiteError.

    A broker is ``ADDRESS``, ``ADDRESS:PORT`` or ``NODE@ADDRESS:PORT``.  Where none is named they run on the first three
    hosts; of two hosts that are no federation on the first, as of a cluster of two neither could outvote the other.
    """
    problems: list[str] = []
    named = _each(hosts, _host, problems)
    places = _each(brokers or ",".join(named[: _most(named, federated)]), _broker, problems)
    lookers, askers = _each(watchers, _user, problems), _each(operators, _user, problems)
    modern = _each(amqp1, _host, problems)
    problems += _missing(named, places, federated, domain)
    problems += [f"{name} is to speak AMQP 1.0, and is none of the hosts" for name in modern if name not in named]
    problems += _doubled("user", [*named, *lookers, *askers])
    problems += _doubled("broker", [place.name for place in places])
    if problems:
        raise SiteError(problems)
    return Site(tuple(named), tuple(places), federated, domain, tuple(lookers), tuple(askers), tuple(modern))


def _most(hosts: Sequence[str], federated: bool) -> int:
    return MOST_BROKERS if federated or len(hosts) >= MOST_BROKERS else 1


def _each(text: str, read: Callable[[str], Item], problems: list[str]) -> list[Item]:
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(read(word))
        except ValueError as error:
            problems.append(str(error))
    return found


def _missing(hosts: Sequence[str], brokers: Sequence[Broker], federated: bool, domain: str) -> Iterable[str]:
    if not hosts:
        yield "no host is named"
    if federated and len(brokers) == 1:
        yield "a federation needs two brokers at least"
    if not federated and len(brokers) == 2:
        yield "of a cluster of two neither can outvote the other: take one, three, or a federation"
    if not _NAME.fullmatch(domain):
        yield f"{domain!r} is no QMF domain: letters, digits, - and _"


def _doubled(what: str, names: Sequence[str]) -> Iterable[str]:
    return [f"{what} {name} is named twice" for name in sorted({name for name in names if names.count(name) > 1})]


def _host(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no host's id: letters, digits, - and _, without dots")
    return text


def _user(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no user's name: letters, digits, - and _")
    return text


def _broker(text: str) -> Broker:
    found = _PLACE.fullmatch(text)
    address = found["address"].strip("[]") if found else ""
    if found is None or not (_is_ip(address) or _ADDRESS.fullmatch(address)):
        raise ValueError(f"{text!r} is no broker: ADDRESS, ADDRESS:PORT or NODE@ADDRESS:PORT")
    node, port = found["node"] or NODE, found["port"] or str(TLS_PORT)
    if not _NAME.fullmatch(node):
        raise ValueError(f"{node!r} in {text!r} is no node's name")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{port!r} in {text!r} is no port")
    return Broker(address, int(port), node)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
