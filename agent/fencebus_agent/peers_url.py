"""Decides which hosts a ``peers://`` URL names, and which of them is this one.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fencebus_schemas.bus_url import BadBusUrl, location, parts_of

SCHEME = "peers"
PORT = 1230
"""Next to fence_virtd's own."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One host of the list."""

    name: str
    """What it is called: by its certificate, or by itself where the key is all that it has to show."""
    host: str
    """Where it is reached."""
    port: int

    def __str__(self) -> str:
        there = location(self.host, self.port)
        return there if self.name == self.host else f"{self.name}@{there}"


def parse(text: str) -> tuple[Peer, ...]:
    """The hosts of ``peers://NAME@HOST:PORT,HOST,...``, in their order; raises BadBusUrl.

    Without a name a host is called as it is reached.  The list is the same on all hosts.
    """
    peers = tuple(_peer(number, each.strip()) for number, each in enumerate(text.split(","), 1))
    for number, peer in enumerate(peers, 1):
        if peer.name in {other.name for other in peers[: number - 1]}:
            raise BadBusUrl(number, f"{peer.name!r} is in the list twice")
    return peers


def find(peers: tuple[Peer, ...], host: str) -> Peer:
    """Which of them is the host with this id: by its name, else by what stands before the name's first dot.

    Raises BadBusUrl if it is none of them, or could be several, and if there is nobody else.
    """
    exactly = [peer for peer in peers if peer.name == host]
    for found in (exactly, [peer for peer in peers if peer.name.partition(".")[0] == host]):
        if len(found) > 1:
            raise BadBusUrl(peers.index(found[1]) + 1, f"both {found[0].name!r} and it could be this host, {host!r}")
        if found:
            if len(peers) == 1:
                raise BadBusUrl(1, "it names this host alone")
            return found[0]
    raise BadBusUrl(1, f"none of these is this host, {host!r}; write it as {host}@ADDRESS")


def _peer(number: int, text: str) -> Peer:
    parts = parts_of(number, text if "://" in text else f"{SCHEME}://{text}", (SCHEME,))
    if parts.path or parts.more or parts.password is not None:
        raise BadBusUrl(number, "a peer is NAME@HOST:PORT, and nothing more")
    return Peer(parts.user or parts.host, parts.host, parts.port or PORT)
