"""Converts the kernel's answer about this machine's addresses (rtnetlink RTM_GETADDR) to a list of them.

The standard library has no getifaddrs. C's client asks netlink too, and leaves out the same addresses.
"""

from __future__ import annotations

import _socket
from struct import Struct

from fencebus_schemas.frozen import Frozen

_HEADER = Struct("=IHHII")  # struct nlmsghdr: length, type, flags, seq, pid
_ADDRESS = Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, interface index
_ATTRIBUTE = Struct("=HH")  # struct rtattr: length, type
_GETADDR = 22
_NEWADDR = 20
_DONE = (2, 3)  # NLMSG_ERROR, NLMSG_DONE
_REQUEST_DUMP = 0x301
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_LOOPBACK6 = bytes(15) + b"\1"


class LocalAddress(Frozen):
    """An address of this machine in network order, and the index of its interface."""

    __slots__ = ("index", "raw")
    index: int
    raw: bytes

    def __init__(self, raw: bytes, index: int) -> None:
        self._fill(index, raw)

    @property
    def text(self) -> str:
        """The address as people write it."""
        return _socket.inet_ntop(_socket.AF_INET if len(self.raw) == 4 else _socket.AF_INET6, self.raw)


def local_addresses(family: int) -> list[LocalAddress]:
    """Return the addresses of ``family`` from which to ask. Raises OSError where netlink is closed to us.

    IPv4: all, 127.0.0.1 among them. IPv6: neither ::1 nor link-local ones, as C; only where nothing else is left, ::1.
    """
    found = [address for address in _dump(family) if address.raw[:1]]
    if family == _socket.AF_INET:
        return found
    useful = [a for a in found if a.raw != _LOOPBACK6 and not (a.raw[0] == 0xFE and a.raw[1] & 0xC0 == 0x80)]
    return useful or [address for address in found if address.raw == _LOOPBACK6]


def _dump(family: int) -> list[LocalAddress]:
    netlink = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, 0)
    try:
        netlink.settimeout(3)
        body = _ADDRESS.pack(family, 0, 0, 0, 0)
        netlink.sendto(_HEADER.pack(_HEADER.size + len(body), _GETADDR, _REQUEST_DUMP, 1, 0) + body, (0, 0))
        found: list[LocalAddress] = []
        done = False
        while not done:
            some, done = parse_messages(netlink.recv(65536), family)
            found += some
        return found
    finally:
        netlink.close()


def parse_messages(data: bytes, family: int) -> tuple[list[LocalAddress], bool]:
    """Return the addresses of ``family`` in one datagram of netlink, and whether it was the last one."""
    found: list[LocalAddress] = []
    at = 0
    while at + _HEADER.size <= len(data):
        length, type_, _flags, _seq, _pid = _HEADER.unpack_from(data, at)
        if type_ in _DONE or length < _HEADER.size:
            return found, True
        if type_ == _NEWADDR:
            found += _of_message(data[at + _HEADER.size : at + length], family)
        at += (length + 3) & ~3
    return found, False


def _of_message(body: bytes, family: int) -> list[LocalAddress]:
    its_family, _prefix, _flags, _scope, index = _ADDRESS.unpack_from(body)
    attributes = _attributes(body[_ADDRESS.size :])
    # On a point-to-point interface IFA_ADDRESS is the other end.
    raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    return [LocalAddress(raw, index)] if raw and its_family == family else []


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, type_ = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found[type_] = data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found
