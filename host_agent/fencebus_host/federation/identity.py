"""Converts what makes two arrivals the same request (S7) into one word that fits into a message."""

from __future__ import annotations

import hashlib

from fencebus_schemas.model import FenceRequest


def identity_of(request: FenceRequest) -> str:
    """The same on every host at which the same datagram arrives; 32 hexadecimal digits.

    A request without random bytes (a listener that has none) is the same only as itself.
    """
    source, seqno, random, target, action = request.identity
    unique = random or request.id.encode()
    words = (
        source.encode(),
        str(seqno).encode(),
        unique,
        target.encode("utf-8", "surrogateescape"),
        action.name.encode(),
    )
    return hashlib.sha256(b"".join(len(word).to_bytes(4, "big") + word for word in words)).hexdigest()[:32]
