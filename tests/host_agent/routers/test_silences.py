"""What the router among hosts says of the members that it does not hear."""

from __future__ import annotations

from fencebus_host.ownership import Ownership
from fencebus_host.routers.federated.router import silences
from fencebus_schemas.model import HostId, Incarnation

ME, OTHER, THIRD = HostId("a"), HostId("b"), HostId("c")
LONG = 100.0


def heard(ownership: Ownership, host: HostId, machine: str, at: float) -> None:
    ownership.token_heard(host, Incarnation("boot", machine, machine), "token", at)


def test_a_member_is_not_heard_yet_then_heard_and_then_silent() -> None:
    ownership = Ownership(ME, Incarnation("boot", "mine", "1"), frozenset({ME, OTHER, THIRD}))
    assert silences(ownership, ME, 0.0) == "b was not heard yet, c was not heard yet"
    heard(ownership, OTHER, "b's", 1.0)
    heard(ownership, THIRD, "c's", 1.0)
    assert silences(ownership, ME, 2.0) == ""
    heard(ownership, OTHER, "b's", LONG)
    assert silences(ownership, ME, LONG) == "c is silent"


def test_two_machines_of_one_name_are_named() -> None:
    ownership = Ownership(ME, Incarnation("boot", "mine", "1"), frozenset({ME, OTHER}))
    heard(ownership, OTHER, "one", 1.0)
    heard(ownership, OTHER, "another", 2.0)
    assert silences(ownership, ME, 3.0) == "two machines call themselves b"
