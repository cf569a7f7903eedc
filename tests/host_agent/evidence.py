"""Makes requests and evidence for the tests of what decides: whole and successful, to be damaged piece by piece."""

from __future__ import annotations

import itertools
from dataclasses import replace

from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import (
    Action,
    FenceRequest,
    HostId,
    Incarnation,
    Life,
    Observation,
    Proof,
    RequestId,
    Source,
    Uuid,
    VmRecord,
    VmState,
)

HERE = HostId("here")
INCARNATION = Incarnation("boot", "machine", "nonce")
VM = Uuid("11111111-1111-1111-1111-111111111111")
OTHER = Uuid("22222222-2222-2222-2222-222222222222")
THIRD = Uuid("33333333-3333-3333-3333-333333333333")
RECEIVED = 100.0
PATIENCE = 25.0

_numbers = itertools.count(1)


def no_time() -> float:
    """A clock that stands at the moment of receipt."""
    return RECEIVED


def request(
    action: Action = Action.OFF,
    target: str = VM,
    *,
    source: Source | None = None,
    deadline: Deadline | None = None,
    received_at: float = RECEIVED,
    seqno: int | None = None,
) -> FenceRequest:
    """A request of its own: no two have one id, or (without a given ``seqno``) one identity."""
    number = next(_numbers)
    return FenceRequest(
        RequestId(f"request-{number}"),
        action,
        target,
        source or Source("192.0.2.7"),
        "tcp",
        deadline or Deadline(received_at + PATIENCE, no_time),
        received_at,
        number if seqno is None else seqno,
        b"random",
    )


def record(state: VmState = VmState.RUNNING, uuid: Uuid = VM, hypervisor: str = "a") -> VmRecord:
    """What a place says before the act."""
    return VmRecord(uuid, "vm", state, HERE, INCARNATION, hypervisor=hypervisor)


def ended(vm: Uuid = VM, hypervisor: str = "a", was: VmState = VmState.RUNNING) -> Observation:
    """A life that was found alive, and has provably ended."""
    return Observation(
        vm,
        VmState.OFF,
        HERE,
        INCARNATION,
        Proof.PROCESS_EXIT,
        RECEIVED + 1,
        was=was,
        ended=Life("1"),
        hypervisor=hypervisor,
    )


def was_off(hypervisor: str = "a") -> Observation:
    """Nothing was there to end."""
    return replace(ended(hypervisor=hypervisor), was=VmState.OFF, ended=None)


def started(hypervisor: str = "a", was: VmState = VmState.OFF) -> Observation:
    """It runs now."""
    return Observation(VM, VmState.RUNNING, HERE, INCARNATION, Proof.NONE, RECEIVED + 2, was=was, hypervisor=hypervisor)


def killed(places: int = 1) -> Evidence:
    """The evidence of a success in so many places."""
    names = [chr(ord("a") + number) for number in range(places)]
    return Evidence(tuple(record(hypervisor=name) for name in names), tuple(ended(hypervisor=name) for name in names))
