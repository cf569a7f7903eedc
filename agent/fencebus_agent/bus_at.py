"""Decides which library speaks to the brokers of a bus URL, and makes the bus.

A list of URLs is fail-over within one library: whoever connects to a broker of AMQP 0-9-1 or to one of 1.0 has
addresses and queues of another kind, and would not be reached by those who wait at the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fencebus_agent import peers_url
from fencebus_agent.bus import Bus
from fencebus_agent.bus_terms import Terms
from fencebus_schemas import bus_url
from fencebus_schemas.bus_url import BadBusUrl, Tls

AMQP_0, AMQP_1, PEERS = "AMQP 0-9-1", "AMQP 1.0", "direct links"
SPOKEN: Mapping[str, tuple[str, ...]] = {
    AMQP_0: bus_url.AMQP_0,
    AMQP_1: bus_url.AMQP_1,
    PEERS: (peers_url.SCHEME,),
}
"""What there is to speak, and by which schemes."""
SCHEMES = {scheme: protocol for protocol, schemes in SPOKEN.items() for scheme in schemes}
"""What each scheme speaks."""


@dataclass(frozen=True, slots=True)
class BusTerms:
    """How this host takes part in a bus, whatever its library."""

    domain: str = "default"
    """The QMF domain: its name is in the exchanges'."""
    client: str = "fencebus"
    """What a broker shows to its administrator as the connection's name."""
    tls: Tls = field(default_factory=Tls)
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """The hosts' own keys, for links without a broker: the first signs, all verify."""
    host: str = ""
    """This host's id; tells it, in a list of peers, which of them it is."""

    @property
    def at_each(self) -> Terms:
        """How it connects to each broker or host."""
        return Terms(self.domain, self.tls, self.client)


Make = Callable[[str, BusTerms], Bus]


def _kombu(url: str, terms: BusTerms) -> Bus:
    from fencebus_agent.kombu_bus import KombuBus

    return KombuBus(url, terms.at_each)


def _amqp1(url: str, terms: BusTerms) -> Bus:
    from fencebus_agent.amqp1_bus import Amqp1Bus

    return Amqp1Bus(url, terms.at_each)


def _peers(url: str, terms: BusTerms) -> Bus:
    from fencebus_agent.peers_bus import PeersBus

    return PeersBus(url, terms.host, terms.keys, terms.at_each)


MAKERS: Mapping[str, Make] = {
    AMQP_0: _kombu,
    AMQP_1: _amqp1,
    PEERS: _peers,
}
"""By what the URL speaks: one line for each library that this version has.  Each imports its library late, as it may
not be installed; and each raises BadBusUrl for a URL of which it can make nothing.
"""


def split(urls: str) -> tuple[str, ...]:
    """The URLs of a list with commas in between, each with a scheme; in ``peers://a,b`` the second one has the
    first one's.
    """
    found: list[str] = []
    for text in (part.strip() for part in urls.split(",")):
        peers = found and found[0].startswith("peers://") and "://" not in text
        found.append(f"peers://{text}" if peers else text)
    return tuple(found)


def speaks(urls: str) -> str:
    """What all URLs of a list speak: a value of SCHEMES.  Raises BadBusUrl, also where they speak differently."""
    spoken = ""
    for number, url in enumerate(split(urls), 1):
        protocol = SCHEMES.get(url.partition("://")[0] if "://" in url else "")
        if protocol is None:
            raise BadBusUrl(number, f"it has to begin with one of {', '.join(f'{each}://' for each in SCHEMES)}")
        if spoken and protocol != spoken:
            raise BadBusUrl(number, f"it speaks {protocol}, and those before it {spoken}: a list has to be of one kind")
        spoken = protocol
    return spoken


def check(urls: str) -> None:
    """Raises BadBusUrl for a list of which no bus can be made, as far as that shows without the libraries."""
    protocol, each = speaks(urls), ",".join(split(urls))
    if protocol == PEERS:
        peers_url.parse(each)
    else:
        bus_url.brokers(each, SPOKEN[protocol])


def bus_at(urls: str, terms: BusTerms) -> Bus:
    """A client of the bus at one or more URLs, tried in turn; not connected before it runs.  Raises BadBusUrl."""
    protocol = speaks(urls)
    if protocol not in MAKERS:
        raise BadBusUrl(1, f"{protocol} is not in this version")
    return MAKERS[protocol](",".join(split(urls)), terms)
