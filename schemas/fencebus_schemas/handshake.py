"""Decides whether a peer holds the key: C's two-way challenge-response, without any input or output of its own.

Each function is a generator: it yields ``Send(data)`` or ``Read(n)``; whoever drives it sends the bytes, or reads
exactly n bytes and passes them in with ``send``. The guest's blocking sockets, the daemon's asyncio streams and the
lists of the tests drive the same code.

The answer to a challenge is H(key || challenge) in both directions, with no role and no nonce of the answerer in it.
So a peer without the key can have its challenge answered by somebody else who holds the key. Two doors are closed
here: nobody answers the challenge that it issued in the same session, and the daemon, which answers before it asks,
refuses to answer any challenge that is outstanding in another of its sessions (``issued``). A relay through another
host with the same key stays possible: the formula is C's, and no peer would understand another.
"""

from __future__ import annotations

from .digest import HASH_NONE, AuthError, digest64, same_digest
from .errors import WireError
from .frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, MutableSet

    Step = Generator["Send | Read", bytes, bytes]

__all__ = ["CHALLENGE_LENGTH", "AuthError", "Read", "Send", "challenge", "guest_side", "host_side", "respond"]

CHALLENGE_LENGTH = 64
"""Bytes of a challenge and of a response (C: MAX_HASH_LENGTH)."""


class Send(Frozen):
    """The driver has to send ``data``."""

    __slots__ = ("data",)
    data: bytes

    def __init__(self, data: bytes) -> None:
        self._fill(data)


class Read(Frozen):
    """The driver has to pass in exactly ``length`` bytes that the peer sent."""

    __slots__ = ("length",)
    length: int

    def __init__(self, length: int) -> None:
        self._fill(length)


def challenge(key: bytes, auth: int, random: bytes) -> Step:
    """Send the 64 bytes ``random`` and check the peer's response; returns ``random``.

    Raises:
        AuthError: "response", the peer does not hold the key; "no-key", we do not.
        WireError: "length", ``random`` or what the driver passed in has not 64 bytes.
    """
    if auth == HASH_NONE:
        return b""
    expected = digest64(auth, key, _exactly(random))
    yield Send(random)
    response = _exactly((yield Read(CHALLENGE_LENGTH)))
    if not same_digest(response, expected):
        raise AuthError("response", "the peer's response to our challenge does not fit the key")
    return random


def respond(key: bytes, auth: int, refused: MutableSet[bytes] | None = None) -> Step:
    """Read the peer's challenge and answer it; returns the challenge.

    ``refused``: challenges that we issued ourselves. Answering one would give away the response that we wait for.

    Raises:
        AuthError: "reflection", the challenge is one of ours; "no-key".
        WireError: "length", what the driver passed in has not 64 bytes.
    """
    if auth == HASH_NONE:
        return b""
    theirs = _exactly((yield Read(CHALLENGE_LENGTH)))
    if refused and theirs in refused:
        raise AuthError("reflection", "the peer sent back a challenge of ours")
    yield Send(digest64(auth, key, theirs))
    return theirs


def guest_side(key: bytes, auth: int, random: bytes) -> Step:
    """Challenge first, then respond: who asks for a fence, whoever opened the connection. Returns the peer's challenge.

    Raises:
        AuthError, WireError: see ``challenge`` and ``respond``.
    """
    ours = yield from challenge(key, auth, random)
    return (yield from respond(key, auth, {ours}))


def host_side(key: bytes, auth: int, random: bytes, issued: MutableSet[bytes] | None = None) -> Step:
    """Respond first, then challenge: who carries out fences. Returns the peer's challenge.

    ``issued`` is shared by all sessions of one daemon: ours is in it while its response is awaited.

    Raises:
        AuthError, WireError: see ``challenge`` and ``respond``; "reflection" also when the peer guessed our challenge.
    """
    outstanding: MutableSet[bytes] = set() if issued is None else issued
    theirs = yield from respond(key, auth, outstanding)
    if theirs and theirs == random:
        raise AuthError("reflection", "the peer's challenge is the one that we are about to send")
    outstanding.add(random)
    try:
        yield from challenge(key, auth, random)
    finally:
        outstanding.discard(random)
    return theirs


def _exactly(data: bytes) -> bytes:
    if len(data) != CHALLENGE_LENGTH:
        raise WireError("length", f"a challenge and a response have {CHALLENGE_LENGTH} bytes, not {len(data)}")
    return data
