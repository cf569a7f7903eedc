"""Has the kernel find out which MAC stands behind an address, without a call to whoever waits there.

A guest of another host must not be called for nothing: C's client takes the first call that comes, and fails if nothing
is said there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from fencebus_host.locality import GuestLocator, Located, Origin

DISCARD_PORT = 9
PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
"""Seconds between looks.  An answer on a bridge takes less than one millisecond; an address behind a router never gets
an entry of its own.
"""


async def introduced(locator: GuestLocator, address: str) -> Located:
    """Where an address belongs; UNRESOLVED if its link has not told in a moment.  Raises OSError."""
    located = locator.locate(address)
    if located.origin is not Origin.UNRESOLVED:
        return located
    _solicit(address)
    for pause in PAUSES:
        await asyncio.sleep(pause)
        located = locator.locate(address)
        if located.origin is not Origin.UNRESOLVED:
            break
    return located


def _solicit(address: str) -> None:
    """One empty datagram, for which the kernel has to ask the link who has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking, contextlib.suppress(OSError):
        asking.sendto(b"", (address, DISCARD_PORT))
