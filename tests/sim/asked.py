"""What an oracle knows of a request: who asked, when by the world's clock, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fencebus_schemas.model import Action, HostId, RequestId, Uuid


@dataclass(slots=True, eq=False)
class Asked:
    """One arrival of a request at one host."""

    number: int
    request: RequestId
    identity: str
    action: Action
    vm: Uuid
    """The VM that is meant."""
    by_name: bool
    source: Uuid | None
    source_life: str
    """The life that asked, by its mark; empty if no VM asked."""
    place: HostId
    at: float
    deadline: float
    gone_at: float | None = None
    """When the requester closed its connection, if it did."""
    answered_at: float | None = None
    ok: bool = False
    reason: str = ""
    text: str = ""
    whereabouts: dict[str, HostId] = field(default_factory=dict)
    """Where each life of the VM was when the request came."""
    heard_from: dict[HostId, bool] = field(default_factory=dict)
    """Hosts whose word on it has reached the coordinator: true if the last one was no claim."""

    @property
    def wanted(self) -> bool:
        """The requester is still there."""
        return self.gone_at is None

    def __str__(self) -> str:
        who = f"{self.source}" if self.source else "an operator"
        return f"request {self.number}: {who} asks {self.place} to {self.action.name.lower()} {self.vm}"
