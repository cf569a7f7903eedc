"""Opens the UDP socket of a multicast group, IPv4 or IPv6, on one interface or the kernel's choice.

C binds to any address and so takes unicast datagrams too (facts: fence-virt 6.2, 24); here the socket is bound to the
group.
"""

from __future__ import annotations

import socket
from struct import Struct

from fencebus_host.config.model import Family, MulticastSettings
from fencebus_host.neighbours import interface_towards

IP_MULTICAST_ALL = 49
IPV6_MULTICAST_ALL = 29

_MREQN = Struct("=4s4si")  # struct ip_mreqn: group, local address, interface index
_MREQ6 = Struct("=16si")  # struct ipv6_mreq: group, interface index


def open_group_socket(settings: MulticastSettings) -> socket.socket:
    """A non-blocking socket that gets the group's datagrams, from the interface that joined and no other.

    Raises OSError: there is no such interface (yet), the port is taken, or the kernel will not join.
    """
    index = interface_index(settings)
    ipv4 = settings.family is Family.IPV4
    group = socket.socket(socket.AF_INET if ipv4 else socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        # Several instances may listen on one port, each on its own interface.
        group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ipv4:
            _join4(group, settings, index)
        else:
            _join6(group, settings, index)
    except OSError:
        group.close()
        raise
    return group


def interface_index(settings: MulticastSettings) -> int:
    """The number of the interface as it is now; if none is named that to which the kernel routes the group.

    Raises OSError if there is none.
    """
    if settings.interface is None:
        index = interface_towards(settings.address)
        if not index:
            raise OSError(f"no route leads to the group {settings.address} (yet)")
        return index
    try:
        return socket.if_nametoindex(settings.interface)
    except OSError:
        raise OSError(f"there is no interface {settings.interface} (yet)") from None


def check_interface(settings: MulticastSettings, index: int) -> None:
    """Raise OSError if the group has to be joined again, on another interface than it was.

    A bridge that is made anew has none of its predecessor's members, and its socket hears no error.
    """
    if settings.interface is None and not interface_towards(settings.address) and _exists(index):
        return  # the route has gone, the members have not
    if interface_index(settings) != index:
        where = f"interface {settings.interface}" if settings.interface else f"interface towards {settings.address}"
        raise OSError(f"the {where} is another one now")


def _exists(index: int) -> bool:
    try:
        return bool(socket.if_indextoname(index))
    except OSError:
        return False


def _join4(group: socket.socket, settings: MulticastSettings, index: int) -> None:
    packed = socket.inet_pton(socket.AF_INET, settings.address)
    group.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
    group.bind((settings.address, settings.port))
    group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _MREQN.pack(packed, bytes(4), index))


def _join6(group: socket.socket, settings: MulticastSettings, index: int) -> None:
    packed = socket.inet_pton(socket.AF_INET6, settings.address)
    group.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    group.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
    group.bind((settings.address, settings.port, 0, index))
    group.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, _MREQ6.pack(packed, index))
