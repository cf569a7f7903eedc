"""Where a VM is started, what its one host answers, and what was said before the start was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host import permission, verdict
from fencebus_host.federation.coordinator import Matter
from fencebus_host.federation.member import UNASKED
from fencebus_host.federation.start_course import s15_candidate
from fencebus_host.objection import Objection
from fencebus_schemas.model import Action, HostId, Reason, Sight, VmRecord, VmState
from fencebus_schemas.peer import Guard, GuardAnswer, Start, StartAnswer
from tests.host_agent.federation.courses import WIDE, A, B, Table, incarnation, runs
from tests.host_agent.federation.words import ME, OFF, ONE, RUNNING, TWO, VM

C = HostId("c")


def has(host: HostId, state: VmState = VmState.OFF) -> VmRecord:
    return VmRecord(VM, "vm7", state, host, incarnation(host))


RUNS, IS_OFF = VmState.RUNNING, VmState.OFF


@pytest.mark.parametrize(
    ("found", "last_owner", "place"),
    (
        ((has(A, RUNS), has(B)), B, A),
        ((has(B), has(A, RUNS)), None, A),
        ((has(A), has(B)), B, B),
        ((has(A), has(B)), A, A),
        ((has(A),), None, A),
        ((has(A),), C, A),
    ),
)
def test_s15_it_starts_where_it_is_claimed_else_on_its_last_owner_else_where_alone_it_is_defined(
    found: tuple[VmRecord, ...], last_owner: HostId | None, place: HostId
) -> None:
    assert s15_candidate(found, last_owner) == place


@pytest.mark.parametrize(
    ("found", "last_owner", "text"),
    (
        ((), None, "nobody has it"),
        ((), A, "nobody has it"),
        ((has(B), has(A)), None, "it could be started in several places (a, b)"),
        ((has(B), has(A)), C, "it could be started in several places (a, b)"),
        ((has(B, RUNS), has(A, RUNS), has(C)), A, "it could be started in several places (a, b)"),
    ),
)
def test_s15_several_candidates_or_none_are_a_failure(
    found: tuple[VmRecord, ...], last_owner: HostId | None, text: str
) -> None:
    assert s15_candidate(found, last_owner) == Objection(Reason.NOT_STARTED, text)


def test_s15_a_start_that_has_no_one_place_fails_at_once() -> None:
    table = Table(state=IS_OFF)
    request = replace(table.request, id=TWO, action=Action.ON)
    matter = Matter(request, VM, "another", None, (has(A), has(B)), lambda: None)
    table.do(table.machine.submit_start(matter, table.now))
    (evidence,) = table.evidence
    assert evidence.objection == Objection(Reason.NOT_STARTED, "it could be started in several places (a, b)")


# -- what is answered ----------


def ordered() -> Table:
    """A start that was ordered on ``a``."""
    table = Table(Action.ON, state=IS_OFF)
    table.deny(A, B)
    table.deny(A, B)
    assert [each.to for each in table.sent(Start)] == [A]
    return table


def test_an_order_that_never_got_past_the_door_is_sent_again_at_once() -> None:
    table = ordered()
    table.started(A, None, Reason.STALE_COMMAND)
    assert [each.to for each in table.sent(Start)] == [A]
    assert not table.over


def test_s15_where_the_claim_broke_before_the_start_all_are_asked_again_and_the_order_stands_on_the_new_claim() -> None:
    table = ordered()
    table.sent(Guard)
    table.started(A, None, Reason.NOT_STARTED)
    assert {each.to for each in table.sent(Guard)} == {A, B}, "at once"
    for serial in ("new", "new"):  # two rounds
        assert table.sent(Start) == []
        table.says(A, OFF, serial)
        table.deny(B)
    (order,) = table.sent(Start)
    assert (order.to, order.serial) == (A, "new")
    table.started(A, runs())
    (evidence,) = table.evidence
    outcome = verdict.decide_on(table.request, evidence)
    assert (outcome.ok, outcome.reason) == (True, Reason.STARTED)


def test_a_claim_that_breaks_each_time_is_asked_for_no_more_often_than_guards_are_renewed() -> None:
    table = ordered()
    table.started(A, None, Reason.NOT_STARTED)
    table.deny(A, B)
    table.deny(A, B)
    table.sent(Start)
    table.sent(Guard)
    table.started(A, None, Reason.NOT_STARTED)
    assert table.sent(Guard) == []
    table.wait(0.6)
    assert {each.to for each in table.sent(Guard)} == {A, B}
    assert table.sent(Start) == []
    table.wait(WIDE)
    (evidence,) = table.evidence
    outcome = verdict.decide_on(table.request, evidence)
    assert (outcome.ok, outcome.reason) == (False, Reason.NOT_STARTED)
    assert "the claim on a broke before the start" in outcome.text


def test_s3_what_broke_the_claim_may_be_a_start_by_somebody_else_and_then_nothing_is_started() -> None:
    table = ordered()
    table.started(A, None, Reason.NOT_STARTED)
    table.says(A, RUNNING)
    assert table.sent(Start) == []
    (evidence,) = table.evidence
    outcome = verdict.decide_on(table.request, evidence)
    assert (outcome.ok, outcome.reason) == (True, Reason.ALREADY_ON)
    assert evidence.inquiry is not None
    assert evidence.inquiry.second == (), "what was said before the claim broke counts no more"


@pytest.mark.parametrize(
    ("refusal", "said", "reason", "text"),
    (
        (Reason.HYPERVISOR_ERROR, "libvirt says no", Reason.HYPERVISOR_ERROR, "libvirt says no"),
        (Reason.DENIED, "", Reason.DENIED, permission.refused(Reason.DENIED).text),
        (None, "", Reason.INTERNAL, permission.refused(Reason.INTERNAL).text),
    ),
)
def test_why_it_was_not_started_is_told_as_its_host_said_it(
    refusal: Reason | None, said: str, reason: Reason, text: str
) -> None:
    table = ordered()
    table.hear(StartAnswer(A, incarnation(A), ME, ONE, "token-a", None, refusal, said))
    assert [each.objection for each in table.evidence] == [Objection(reason, text)]


def test_a_start_that_nobody_ordered_is_no_answer() -> None:
    table = Table(Action.ON, state=IS_OFF)
    table.started(B, runs(B))
    assert not table.over


def test_s12_a_start_that_is_told_after_the_deadline_is_no_success() -> None:
    table = ordered()
    table.now += WIDE + 1.0
    table.started(A, runs())
    assert [each.observations for each in table.evidence] == [()]
    assert not verdict.decide_on(table.request, table.evidence[0]).ok


# -- what was said before ----------


def word(sight: Sight, stamp: float) -> GuardAnswer:
    """An answer to a guard that was sent then."""
    return GuardAnswer(A, incarnation(A), ME, ONE, 1, stamp, "token-a", "s", sight)


@pytest.mark.parametrize(("stamp", "counts"), ((99.0, False), (0.0, False), (100.0, True), (UNASKED, True)))
def test_what_was_asked_before_the_start_says_nothing_of_it_but_what_is_reported_unasked_does(
    stamp: float, counts: bool
) -> None:
    table = Table(Action.ON, state=RUNS)
    table.hear(word(RUNNING, stamp))
    assert table.over is counts
