"""What consoles are told of requests: events, counters, the last records, a VM's last fence."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from fencebus_agent.qmf_domains import LastFence
from fencebus_host import qmf_face_record
from fencebus_host.qmf_face_record import Chronicle
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.model import Action, FenceOutcome, HostId, Incarnation, Observation, Proof, Reason, VmState
from fencebus_schemas.qmf2_data import Severity
from fencebus_schemas.qmf2_schema import ClassSchema
from tests.host_agent.federated_site import fence_request, vm

SEEN = Observation(vm(7), VmState.OFF, HostId("hosta"), Incarnation("b", "m", "1"), Proof.PROCESS_EXIT, 1.0)

NOW = 1_800_000_000_000_000_000


@dataclass
class Notes:
    """What an agent was given to show and to tell."""

    objects: dict[tuple[str, str], Map] = field(default_factory=dict)
    events: list[tuple[str, Severity | None]] = field(default_factory=list)

    def put(self, described: ClassSchema, key: str, values: Map) -> None:
        self.objects[described.id.class_name, key] = values

    def remove(self, described: ClassSchema, key: str) -> None:
        del self.objects[described.id.class_name, key]

    def tell(self, described: ClassSchema, values: Map, severity: Severity | None = None) -> None:
        self.events.append((described.id.class_name, severity))


def chronicle() -> tuple[Notes, Chronicle]:
    notes = Notes()
    return notes, Chronicle(notes, HostId("hosta"), "1.2", "qmf", lambda: NOW)


def happened(book: Chronicle, target: str, ok: bool = True) -> str:
    """One request from its arrival to its end; returns its id."""
    request = fence_request(Action.OFF, target)
    book.asked(request)
    reason = Reason.PROVEN_OFF if ok else Reason.UNKNOWN_VM
    outcome = FenceOutcome(request.id, ok, reason, (SEEN,) if ok else (), "" if ok else "no such VM")
    assert book.ended(request, outcome, 2.5) == (frozenset({vm(7)}) if ok else frozenset())
    return str(request.id)


def test_a_service_that_has_done_nothing_says_so() -> None:
    notes, _ = chronicle()
    assert notes.objects["FenceControl", "hosta"] == {
        "hostname": "hosta",
        "version": "1.2",
        "router": "qmf",
        "requestsTotal": 0,
        "requestsFailed": 0,
    }


def test_a_request_is_told_kept_and_counted() -> None:
    notes, book = chronicle()
    number = happened(book, "vm7")
    assert notes.events == [("fenceRequested", None), ("fenceCompleted", Severity.WARNING)]
    record = notes.objects["FenceRecord", number]
    assert (record["target"], record["startTime"], record["endTime"], record["ok"]) == (
        "vm7",
        NOW - 2_500_000_000,
        NOW,
        True,
    )
    assert book.fence_of(vm(7)) == LastFence(NOW, "off", "proven-off", "192.0.2.1", number)
    happened(book, "nobody", ok=False)
    assert notes.events[-1] == ("fenceCompleted", Severity.ERROR)
    control = notes.objects["FenceControl", "hosta"]
    assert (control["requestsTotal"], control["requestsFailed"]) == (2, 1)
    assert control["lastError"] == "unknown-vm: no such VM"


def test_the_history_is_of_one_target_or_of_all_the_newest_first() -> None:
    _, book = chronicle()
    numbers = [happened(book, target) for target in ("vm7", "vm8", "vm7")]
    assert [one["requestId"] for one in book.history("", 10)] == numbers[::-1]
    assert [one["requestId"] for one in book.history("VM7", 10)] == [numbers[2], numbers[0]]
    assert [one["requestId"] for one in book.history("vm7", 1)] == [numbers[2]]
    assert book.history("vm9", 10) == []


def test_only_the_last_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmf_face_record, "MOST_RECORDS", 2)
    monkeypatch.setattr(qmf_face_record, "MOST_FENCED", 1)
    notes, book = chronicle()
    numbers = [happened(book, str(vm(7))) for _ in range(3)]
    kept = [key for name, key in notes.objects if name == "FenceRecord"]
    assert kept == numbers[1:]
    other = fence_request(Action.ON, str(vm(8)))
    book.ended(other, FenceOutcome(other.id, False, Reason.NOT_STARTED), 1.0)
    assert book.fence_of(vm(7)) is None
    assert book.fence_of(vm(8)) is not None
