"""Where a test speaks the protocol itself: its thread enters the network of a daemon, or of a guest beside it."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from fencebus_schemas.digest import digest64
from fencebus_schemas.handshake import CHALLENGE_LENGTH
from tests.interop.network import Network
from tests.interop.programs import PORT, Site
from tests.protocol_client import Conversation

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def inside(network: Network) -> Iterator[None]:
    """The calling thread is in this network as long as the context lasts; its sockets stay there."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{network.pid}/ns/net", "rb") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


@contextmanager
def addressed(place: Site) -> Iterator[tuple[str, int]]:
    """The address of a daemon's TCP listener, for as long as this thread is in its network."""
    with inside(place.network):
        yield ("127.0.0.1", PORT)


def last_word(peer: Conversation) -> bytes:
    """Go through the handshake up to its end; returns the bytes that will end it."""
    peer.send(secrets.token_bytes(CHALLENGE_LENGTH))
    peer.receive(CHALLENGE_LENGTH)
    return digest64(peer.secret.auth, peer.secret.key, peer.receive(CHALLENGE_LENGTH))


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
