"""Converts a key and a message to the 64-byte digest field of C's fence_virt, and compares two such fields.

The guest client starts with this module, so the digest functions are taken from the interpreter's own C modules:
``hashlib`` loads OpenSSL, which costs 3 ms. On a FIPS machine ``hashlib`` is the right one, because only OpenSSL's
code is validated there.
"""

from __future__ import annotations

import sys
from _operator import _compare_digest

from .errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HASH_NONE = 0
HASH_SHA1 = 1
HASH_SHA256 = 2
HASH_SHA512 = 3
HASH_NAMES = ("none", "sha1", "sha256", "sha512")
"""C's words for them, in the order of their numbers on the wire."""

DIGEST_LENGTH = 64
MAX_KEY_LENGTH = 4096
"""C reads no more of a key file than this."""

FIPS_SWITCH = "/proc/sys/crypto/fips_enabled"
_BUILTIN = {"sha1": ("_sha1",), "sha256": ("_sha256", "_sha2"), "sha512": ("_sha512", "_sha2")}


class AuthError(WireError):
    """The peer did not prove that it holds the key. Nothing may be answered that helps it (S11)."""


def digest64(hash_type: int, key: bytes, message: bytes) -> bytes:
    """Return H(key || message) padded with zeros to 64 bytes; 64 zeros for HASH_NONE. Source: fence-virt's sha_sign.

    Raises:
        WireError: code "hash", a hash type that is not one of the four.
        AuthError: code "no-key", a digest is asked for and the key is empty.
    """
    if hash_type == HASH_NONE:
        return bytes(DIGEST_LENGTH)
    if not 0 < hash_type < len(HASH_NAMES):
        raise WireError("hash", f"unknown hash type {hash_type}")
    if not key:
        raise AuthError("no-key", "there is no key to authenticate with")
    return _digest(HASH_NAMES[hash_type], key + message).ljust(DIGEST_LENGTH, b"\0")


def same_digest(one: bytes, other: bytes) -> bool:
    """Return whether two digests are equal, in a time that does not tell where they differ (S11)."""
    return _compare_digest(one, other)


def fips_enabled(switch: str = FIPS_SWITCH) -> bool:
    """Return whether the kernel runs in FIPS mode; no such switch means no."""
    try:
        with open(switch, "rb", buffering=0) as file:
            return file.read(1) == b"1"
    except OSError:
        return False


def find_digest(name: str, fips: bool) -> Callable[[bytes], bytes]:
    """Return the function that makes the raw digest ``name``: the interpreter's own, or hashlib's."""
    for module in () if fips else _BUILTIN[name]:
        try:
            constructor = getattr(__import__(module), name)
        except ImportError:
            continue
        return lambda data: bytes(constructor(data).digest())
    import hashlib

    return lambda data: hashlib.new(name, data).digest()


_found: dict[str, Callable[[bytes], bytes]] = {}


def _digest(name: str, data: bytes) -> bytes:
    if name not in _found:
        # Where OpenSSL is loaded anyhow (the daemon) there is nothing to save.
        _found[name] = find_digest(name, fips="_hashlib" in sys.modules or fips_enabled())
    return _found[name](data)
