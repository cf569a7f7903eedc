"""Decides whether the other side of a link holds the hosts' key: a challenge each way, without any input or output.

Generators, as in fencebus_schemas.handshake: they yield ``Send`` or ``Read``, and return the other side's name.  Not
the handshake of the C programs: here each proof is over both challenges, both names and its direction, so that none can
be sent back, or passed on to another host that holds the same key.

    caller  -> MAGIC, 32 random bytes
    callee  -> 32 random bytes
    caller  -> its name, HMAC-SHA256 with the key that signs
    callee  -> HMAC-SHA256 with the key that the caller's fits, in the other direction
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Generator, Sequence

from fencebus_schemas.digest import AuthError
from fencebus_schemas.handshake import Read, Send

MAGIC = b"fencebus peers 1"
NONCE = 32
PROOF = 32

Steps = Generator[Send | Read, bytes, str]


def caller(keys: Sequence[bytes], me: str, them: str) -> Steps:
    """Ask to be heard; raises AuthError if whoever answers does not hold the key, or is not ``them``."""
    mine = secrets.token_bytes(NONCE)
    yield Send(MAGIC + mine)
    theirs = yield Read(NONCE)
    name = me.encode()
    said = (mine, theirs, name, them.encode())
    yield Send(bytes((len(name),)) + name + _proof(keys[0], b"caller", *said))
    answer = yield Read(PROOF)
    if not _fits(answer, keys, b"callee", said):
        raise AuthError("response", f"who answers does not hold the hosts' key, or is not {them}")
    return them


def callee(keys: Sequence[bytes], me: str, known: frozenset[str]) -> Steps:
    """Find out who asks; raises AuthError if it does not hold the key, means another host, or is none of ``known``."""
    opening = yield Read(len(MAGIC) + NONCE)
    if not opening.startswith(MAGIC):
        raise AuthError("magic", "it does not speak as peers do")
    mine = secrets.token_bytes(NONCE)
    yield Send(mine)
    length = yield Read(1)
    name = yield Read(length[0])
    said = (opening[len(MAGIC) :], mine, name, me.encode())
    proof = yield Read(PROOF)
    fitting = [key for key in keys if _fits(proof, (key,), b"caller", said)]
    if not fitting:
        raise AuthError("response", f"it does not hold the hosts' key, or takes this host for another than {me}")
    if (who := name.decode("utf-8", "replace")) not in known:
        raise AuthError("unknown", f"it holds the key, but {who!r} is in no list here")
    yield Send(_proof(fitting[0], b"callee", *said))
    return who


def _proof(key: bytes, direction: bytes, *said: bytes) -> bytes:
    parts = b"".join(len(each).to_bytes(2, "big") + each for each in (MAGIC, direction, *said))
    return hmac.digest(key, parts, hashlib.sha256)


def _fits(proof: bytes, keys: Sequence[bytes], direction: bytes, said: Sequence[bytes]) -> bool:
    return any(hmac.compare_digest(proof, _proof(key, direction, *said)) for key in keys)
