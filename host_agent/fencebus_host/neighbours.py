"""Reads the kernel's neighbour table: which MAC address stands behind an IP address on this host's links.

One rtnetlink dump (RTM_GETNEIGH, rtnetlink(7)); a few hundred microseconds, no program started, no library needed.  See
docs/decisions/neighbour-table.md.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from struct import Struct

RTM_NEWNEIGH = 28
RTM_GETNEIGH = 30
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 1
NLM_F_DUMP = 0x300
NDA_DST = 1
NDA_LLADDR = 2
MAC_LENGTH = 6
FAILED_STATES = 0x20 | 0x01  # NUD_FAILED, NUD_INCOMPLETE: the kernel asked, and has no answer (yet)

_HEADER = Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port id
_NEIGHBOUR = Struct("=BxxxiHBB")  # struct ndmsg: family, interface, state, flags, type
_ATTRIBUTE = Struct("=HH")  # struct rtattr: length, type
_LARGEST = 1 << 17


def mac_addresses_of(address: str) -> frozenset[str]:
    """The MAC addresses, in lower case, that the kernel has for this IPv4 or IPv6 address; none if it knows none.

    More than one if several links know the address.  Raises OSError if the kernel refuses.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    wanted = socket.inet_pton(family, address.split("%", 1)[0])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        request = _NEIGHBOUR.pack(family, 0, 0, 0, 0)
        length = _HEADER.size + len(request)
        netlink.send(_HEADER.pack(length, RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + request)
        return frozenset(mac for destination, mac in _entries(netlink) if destination == wanted)


def is_own_address(address: str) -> bool:
    """True if this host itself has the address: only then may a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _entries(netlink: socket.socket) -> Iterator[tuple[bytes, str]]:
    for kind, body in _messages(netlink):
        state = _NEIGHBOUR.unpack_from(body)[2]
        attributes = dict(_attributes(body[_NEIGHBOUR.size :]))
        mac = attributes.get(NDA_LLADDR, b"")
        if kind == RTM_NEWNEIGH and not state & FAILED_STATES and len(mac) == MAC_LENGTH:
            yield attributes.get(NDA_DST, b""), mac.hex(":")


def _messages(netlink: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The messages of one dump, up to its end."""
    while True:
        data = netlink.recv(_LARGEST)
        while data:
            length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data)
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise OSError("the kernel refused to list its neighbours")
            yield kind, data[_HEADER.size : length]
            data = data[_aligned(length) :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[_aligned(max(length, _ATTRIBUTE.size)) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
