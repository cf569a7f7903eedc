"""Finds ports that nobody uses, and that nobody takes before the asker has bound them.

They lie below those that the kernel gives to whoever connects or binds to port 0: a daemon may bind its port seconds
after it was chosen, or again after a restart, and whoever tries to connect meanwhile meets nobody, not itself.  Each
process has some hundred of its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

LOWEST, HIGHEST = 10_000, 32_000
BLOCK = 250


def free_tcp_port(host: str = "127.0.0.1") -> int:
    """Return a port of `host` that is free for TCP and UDP."""
    return _free(host)


def free_udp_port(host: str = "127.0.0.1") -> int:
    """Return a port of `host` that is free for UDP and TCP."""
    return _free(host)


def _free(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = _block(os.getpid())
    for _ in range(BLOCK):
        port = next(candidates)
        if all(_is_free(family, kind, host, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise AssertionError(f"no port of {host} is free")


def _is_free(family: socket.AddressFamily, kind: socket.SocketKind, host: str, port: int) -> bool:
    with socket.socket(family, kind) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@cache
def _block(_pid: int) -> Iterator[int]:
    """One after the other, so that a port is not given again soon; a forked process gets others."""
    blocks = range(LOWEST, HIGHEST, BLOCK)
    first = os.getpid() % len(blocks)
    for number in (*blocks[first:], *blocks[:first]):
        if _claim(number):
            return cycle(range(number, number + BLOCK))
    raise AssertionError("all ports belong to other tests that run")


def _claim(number: int) -> bool:
    """Whether a block belongs to this process from now on, until it ends."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(f"\0fencebus-tests-ports-{number}")
    except OSError:
        mark.close()
        return False
    mark.detach()  # it stays open as long as the process lives
    return True


_block(os.getpid())  # now, and not while a test counts descriptors
