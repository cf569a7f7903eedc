"""Finds ports nobody uses at this moment; the asker has to bind them soon."""

from __future__ import annotations

import socket


def free_tcp_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port of `host` that was free a moment ago."""
    return _free(socket.SOCK_STREAM, host)


def free_udp_port(host: str = "127.0.0.1") -> int:
    """Return a UDP port of `host` that was free a moment ago."""
    return _free(socket.SOCK_DGRAM, host)


def _free(kind: socket.SocketKind, host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
