"""Two hosts that know each other, one of which has a VM, and what is asked of their pictures."""

from __future__ import annotations

from fencebus_host.ownership import Heard, Ownership
from fencebus_schemas.model import HostId, VmState
from fencebus_schemas.peer import Change
from tests.host_agent.federated_words import (
    VM,
    A,
    B,
    host,
    incarnation,
    meet,
    record,
)

NOTHING = Heard()


def acquainted(state: VmState = VmState.RUNNING) -> tuple[Ownership, Ownership]:
    """Two hosts that know each other; the second has the VM."""
    here, there = host(A), host(B)
    there.own_inventory([record(B, state=state)], 0.0)
    meet(here, there, 0.0)
    return here, there


def change(there: Ownership, state: VmState, now: float = 1.0) -> Change:
    [message] = there.own_change(record(B, state=state), False, now).replies
    assert isinstance(message, Change)
    return message


def claiming(ownership: Ownership) -> list[HostId]:
    return [each.host for each in ownership.claimants(VM)]


def twin_of_b() -> Ownership:
    return Ownership(B, incarnation(B, machine="another machine"))
