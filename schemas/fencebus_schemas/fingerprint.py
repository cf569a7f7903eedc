"""Converts a key to a short name that two administrators can compare aloud, and that gives nothing of the key away."""

from __future__ import annotations

from hashlib import sha256

KEY_SIZE = 4096
"""Bytes of a key that count (C: MAX_KEY_LEN)."""
_LABEL = b"fencebus key fingerprint\0"
# Requests are signed with H(key || request): a hash that begins with the bare key could be lengthened into a signature.
# The label in front, and the cut, leave nothing to lengthen.
_DIGITS = 16


def fingerprint(key: bytes) -> str:
    """Return 16 hexadecimal digits, the same on host and guest if and only if their keys are the same."""
    return sha256(_LABEL + key[:KEY_SIZE]).hexdigest()[:_DIGITS]
