"""Converts settings to what a network transport needs: addresses as numbers, the key's bytes, requests and nonces."""

from __future__ import annotations

import _socket
from posix import urandom

from fencebus_schemas.digest import HASH_NONE, MAX_KEY_LENGTH
from fencebus_schemas.handshake import CHALLENGE_LENGTH
from fencebus_schemas.xvm import (
    FAMILY_IPV4,
    FAMILY_IPV6,
    FLAG_UUID,
    GROUP_IPV4,
    GROUP_IPV6,
    RANDOM_LENGTH,
    XvmRequest,
)

from .failures import EXIT_FAILURE, NoAnswer, UsageError, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Settings


class Asking:
    """One request to be sent over a network, as often as it takes: seqno and random stay the same."""

    def __init__(self, settings: Settings, code: int) -> None:
        self.family, self.group = group_of(settings)
        self.port = settings.ipport
        self.timeout = settings.timeout
        self.interval = settings.retrans / 10
        self.auth = settings.auth
        self.key_file = settings.key_file
        self.key = read_key(settings)
        self.nonces: set[bytes] = set()
        """Every challenge that we sent: none of them is answered (see handshake)."""
        self._hash = settings.hash
        self._request = XvmRequest(
            code,
            settings.plug,
            flags=FLAG_UUID if settings.use_uuid else 0,
            random=urandom(RANDOM_LENGTH),
            seqno=int.from_bytes(urandom(4), "little"),
        )

    def nonce(self) -> bytes:
        """Return a fresh challenge."""
        nonce = urandom(CHALLENGE_LENGTH)
        self.nonces.add(nonce)
        return nonce

    def signed(self, address: bytes = b"") -> XvmRequest:
        """Return the signed request; with ``address`` it asks for a call-back there."""
        plain = self._request
        request = XvmRequest(
            plain.action,
            plain.domain,
            flags=plain.flags,
            random=plain.random,
            seqno=plain.seqno,
            address=address,
            port=self.port if address else 0,
            family=self.family if address else 0,
        )
        return request.sign(self.key, self._hash)


def group_of(settings: Settings) -> tuple[int, str]:
    """Return the family number and the multicast group.

    Raises:
        UsageError: the family and the address contradict each other, or it is none.
    """
    v6 = settings.ip_family == "ipv6" or ":" in settings.multicast_address
    group = settings.multicast_address or (GROUP_IPV6 if v6 else GROUP_IPV4)
    if v6 != (":" in group) or (v6 and settings.ip_family == "ipv4"):
        raise UsageError(f"multicast_address {group} is not of ip_family {settings.ip_family}")
    family = FAMILY_IPV6 if v6 else FAMILY_IPV4
    try:
        _socket.inet_pton(family, group)
    except OSError:
        raise UsageError(f"multicast_address {group} is not an address") from None
    return family, group


def read_key(settings: Settings) -> bytes:
    """Return the first 4096 bytes of the key file, nothing trimmed; no bytes where neither hash nor auth needs them.

    Raises:
        NoAnswer: it cannot be read or is empty. C goes on without authentication there (S10).
    """
    if settings.hash == HASH_NONE and settings.auth == HASH_NONE:
        return b""
    remedy = f"copy the host's key to {settings.key_file}, readable by root, or name another file with -k"
    try:
        with open(settings.key_file, "rb", buffering=0) as file:
            key = file.read(MAX_KEY_LENGTH) or b""
    except OSError as error:
        raise NoAnswer(f"Could not read {settings.key_file}: {words(error)}", remedy, EXIT_FAILURE) from None
    if not key:
        raise NoAnswer(f"{settings.key_file} is empty", remedy, EXIT_FAILURE)
    return key
