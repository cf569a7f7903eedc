"""Reads from the kernel who stands behind an IP address, and where: a MAC on this host's links, or this host itself.

rtnetlink(7) (RTM_GETNEIGH, RTM_GETROUTE); a few hundred microseconds, no program started, no library needed.  See
docs/decisions/neighbour-table.md.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from struct import Struct

from fencebus_schemas.deadline import Clock, boottime

RTM_NEWROUTE = 24
RTM_GETROUTE = 26
RTM_NEWNEIGH = 28
RTM_GETNEIGH = 30
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 1
NLM_F_DUMP = 0x300
RTA_DST = 1
RTA_OIF = 4
RTN_LOCAL = 2
NDA_DST = 1
NDA_LLADDR = 2
MAC_LENGTH = 6
FAILED_STATES = 0x20 | 0x01  # NUD_FAILED, NUD_INCOMPLETE: the kernel asked, and has no answer (yet)

OWN_SECONDS = 1.0
MOST_OWN = 64

_HEADER = Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port id
_NEIGHBOUR = Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
_ROUTE = Struct("=BBBBBBBBI")  # struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_ATTRIBUTE = Struct("=HH")  # struct rtattr: length, type
_LARGEST = 1 << 16  # the kernel fills 32 KB at most; from 128 KB on each buffer is mapped and unmapped


def mac_addresses_of(address: str) -> frozenset[str]:
    """The MAC addresses, in lower case, that the kernel has for this IPv4 or IPv6 address; none if it knows none.

    More than one if several links know the address.  Raises OSError if the kernel refuses.
    """
    family, wanted = _packed(address)
    with _netlink() as netlink:
        _ask(netlink, RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, _NEIGHBOUR.pack(family, 0, 0, 0, 0))
        return frozenset(_macs(netlink, wanted))


def is_own_address(address: str) -> bool:
    """True if this host itself has the address: the kernel would deliver to it locally.

    Not "a socket may be bound to it": that is true of groups and broadcasts too, and with ``ip_nonlocal_bind``, which
    clustered hosts like to set, of every address.
    """
    if not any(_packed(address)[1]):
        return False
    route = _route_to(address)
    return route is not None and _ROUTE.unpack_from(route)[7] == RTN_LOCAL


def interface_towards(address: str) -> int:
    """The number of the interface over which the kernel sends to this address or group; 0 if no way leads there."""
    route = _route_to(address)
    if route is None:
        return 0
    number = dict(_attributes(route[_ROUTE.size :])).get(RTA_OIF, bytes(4))
    return int.from_bytes(number, sys.byteorder)


def _route_to(address: str) -> bytes | None:
    """The kernel's answer, ``None`` if no way leads there."""
    family, wanted = _packed(address)
    question = _ROUTE.pack(family, 8 * len(wanted), 0, 0, 0, 0, 0, 0, 0)
    destination = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(wanted), RTA_DST) + wanted
    with _netlink() as netlink:
        _ask(netlink, RTM_GETROUTE, NLM_F_REQUEST, question + destination)
        try:
            kind, body = next(_messages(netlink))
        except OSError:
            return None
    return body if kind == RTM_NEWROUTE else None


class OwnAddresses:
    """``is_own_address`` for a request in a hurry: an address that is ours is not asked about again for a second."""

    def __init__(self, ask: Callable[[str], bool] = is_own_address, clock: Clock = boottime) -> None:
        self._ask = ask
        self._clock = clock
        self._until: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def __call__(self, address: str) -> bool:
        """True if this host itself has the address, or had it less than a second ago."""
        now = self._clock()
        if self._until.get(address, 0.0) > now:
            return True
        if len(self._until) > MOST_OWN:
            self._until.clear()
        if own := self._ask(address):
            self._until[address] = now + OWN_SECONDS
        return own


def _packed(address: str) -> tuple[int, bytes]:
    """The family of an address, and its bytes; a zone is left out."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address.split("%", 1)[0])


def _netlink() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


def _ask(netlink: socket.socket, kind: int, flags: int, question: bytes) -> None:
    netlink.send(_HEADER.pack(_HEADER.size + len(question), kind, flags, 1, 0) + question)


def _macs(netlink: socket.socket, wanted: bytes) -> Iterator[str]:
    for kind, body in _messages(netlink):
        if wanted not in body:  # about somebody else; a host may have a thousand neighbours, and a guest waits
            continue
        state = _NEIGHBOUR.unpack_from(body)[2]
        attributes = dict(_attributes(body[_NEIGHBOUR.size :]))
        mac = attributes.get(NDA_LLADDR, b"")
        known = kind == RTM_NEWNEIGH and not state & FAILED_STATES and len(mac) == MAC_LENGTH and any(mac)
        if known and attributes.get(NDA_DST) == wanted:
            yield mac.hex(":")


def _messages(netlink: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The messages of one dump, up to its end."""
    while True:
        data, at = netlink.recv(_LARGEST), 0
        while at < len(data):
            length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, at)
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise OSError("the kernel refused to say")
            yield kind, data[at + _HEADER.size : at + length]
            at += _aligned(max(length, _HEADER.size))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[_aligned(max(length, _ATTRIBUTE.size)) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
