"""Decides whether bytes from outside become a request: form, signature, freshness.  Pure.

Nothing behind this module sees a byte that did not pass it.  Whoever is turned away gets no answer that helps; why
stands in the log (S11).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fencebus_host.replay import SeenRequests, Sight
from fencebus_schemas.deadline import Clock, Deadline, boottime
from fencebus_schemas.digest import HASH_NONE, AuthError
from fencebus_schemas.errors import WireError
from fencebus_schemas.model import Action, FenceRequest, RequestId, Source
from fencebus_schemas.xvm import XvmRequest

_ACTIONS = {action.value: action for action in Action}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that passed, the key that it was signed with, and how it was seen."""

    wire: XvmRequest
    action: Action
    key: bytes
    sight: Sight

    @property
    def signature(self) -> bytes:
        """What tells it from all others; empty if it is not signed."""
        return b"" if self.wire.hash_type == HASH_NONE else self.wire.digest


class Door:
    """What one listener demands of a request."""

    def __init__(
        self,
        keys: Sequence[bytes],
        minimum_hash: int,
        seen: SeenRequests,
        keep: Callable[[bytes], None] = lambda _signature: None,
    ) -> None:
        """``keep`` is told the signature of each new power action, so that a restart does not forget it."""
        self._keys = tuple(keys) or (b"",)
        self._minimum_hash = minimum_hash
        self._seen = seen
        self._keep = keep

    def admit(self, data: bytes, source: str = "") -> Admitted:
        """Let 176 bytes in; ``source`` is the peer's address where the packet itself does not say (TCP, vsock).

        Raises WireError, whose code says why not: of the form, ``action``, ``signature``, ``hash-weak``, ``no-key``,
        ``replayed``.
        """
        wire = XvmRequest.unpack(data)
        action = _ACTIONS.get(wire.action)
        if action is None:
            raise WireError("action", f"there is no action with the code {wire.action}")
        key = self._key_of(wire)
        sight = self._sight_of(wire, source)
        if sight is Sight.FRESH and action.changes and wire.hash_type != HASH_NONE:
            self._keep(wire.digest)
        return Admitted(wire, action, key, sight)

    def _key_of(self, wire: XvmRequest) -> bytes:
        for key in self._keys[:-1]:
            try:
                wire.verify(key, self._minimum_hash)
            except AuthError:
                continue
            return key
        wire.verify(self._keys[-1], self._minimum_hash)
        # An unsigned request shows no key; the first is the one that signs.
        return self._keys[0] if wire.hash_type == HASH_NONE else self._keys[-1]

    def _sight_of(self, wire: XvmRequest, source: str) -> Sight:
        if wire.hash_type == HASH_NONE:
            return Sight.FRESH
        sight = self._seen.look(wire.digest, f"{source}/{wire.address.hex()}/{wire.port}")
        if sight is Sight.REPLAYED:
            raise WireError("replayed", "the same signed request was seen before")
        return sight


def fence_request(
    admitted: Admitted, source: Source, via: str, patience: float, received_at: float, clock: Clock = boottime
) -> FenceRequest:
    """The request as the service knows it, with a new id of 128 random bits and its deadline.

    ``received_at`` and ``patience`` are seconds, on ``clock`` and from there on.
    """
    wire = admitted.wire
    return FenceRequest(
        id=RequestId(secrets.token_hex(16)),
        action=admitted.action,
        target=wire.domain if admitted.action.has_target else "",
        source=source,
        via=via,
        deadline=Deadline(received_at + patience, clock),
        received_at=received_at,
        seqno=wire.seqno,
        random=wire.random,
    )
