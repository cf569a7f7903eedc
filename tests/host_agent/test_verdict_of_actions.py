"""What is decided of each action, and what is said of it: off, reboot, on, status, list and monitor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from fencebus_host import verdict
from fencebus_host.denial import Inquiry
from fencebus_host.objection import Objection
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import (
    Action,
    HostId,
    Proof,
    Reason,
    RequestId,
    VmState,
)
from fencebus_schemas.peer import EVERYONE, Outcome
from tests.host_agent.evidence import (
    INCARNATION,
    OTHER,
    RECEIVED,
    VM,
    ended,
    killed,
    record,
    request,
    started,
    was_off,
)
from tests.host_agent.evidences import evidences, off

# -- reasons and texts ----------


def test_an_off_says_whether_it_ended_a_life_or_found_none() -> None:
    assert off(killed()).reason is Reason.PROVEN_OFF
    assert off(Evidence((record(VmState.OFF),), (was_off(),))).reason is Reason.ALREADY_OFF


@pytest.mark.parametrize(
    ("evidence", "reason", "text"),
    (
        (Evidence((), silent=("b",)), Reason.HYPERVISOR_ERROR, "b did not answer"),
        (Evidence(()), Reason.UNKNOWN_VM, "no VM has the name or UUID"),
        (Evidence((record(),)), Reason.NOT_PROVEN, "nothing was observed"),
        (
            Evidence((record(),), (replace(ended(), state=VmState.RUNNING, detail="it is stuck in I/O"),)),
            Reason.NOT_PROVEN,
            "it is stuck in I/O",
        ),
        (Evidence((record(),), (replace(ended(), state=VmState.PAUSED),)), Reason.NOT_PROVEN, "is paused"),
        (
            Evidence((record(),), (replace(ended(), migration_in_flight=True),)),
            Reason.IN_FLIGHT,
            "may have left by migration",
        ),
        (
            Evidence((record(),), (replace(ended(), migration_in_flight=True, detail="a job ran"),)),
            Reason.IN_FLIGHT,
            "a job ran",
        ),
        (Evidence((record(), record(hypervisor="b")), (ended(),)), Reason.STILL_CLAIMED, "b had vm (running)"),
        (Evidence((record(hypervisor=""),), (ended(),)), Reason.STILL_CLAIMED, "here had vm (running)"),
        (
            Evidence((record(),), (replace(ended(hypervisor=""), seen_at=1.0),)),
            Reason.STALE_OBSERVATION,
            "here was looked at before",
        ),
    ),
)
def test_a_failure_names_what_is_missing(evidence: Evidence, reason: Reason, text: str) -> None:
    outcome = off(evidence)
    assert (outcome.ok, outcome.reason) == (False, reason)
    assert text in outcome.text


def test_a_place_that_did_not_confirm_adds_what_it_said() -> None:
    seen = replace(ended(hypervisor="b"), state=VmState.RUNNING, detail="it survived")
    objection = verdict.s3_every_claim_has_ended(request(), Evidence((record(hypervisor="b"),), (seen,)))
    assert objection is not None
    assert objection.text.endswith(": it survived")


# -- reboot, on, status, list, monitor ----------


def test_a_reboot_says_what_came_of_its_start() -> None:
    asked = request(Action.REBOOT)
    on = Evidence((record(),), (started(),))
    unstarted = replace(on, observations=(), objection=Objection(Reason.HYPERVISOR_ERROR, "no memory left"))
    at_rest = Evidence((record(VmState.OFF),), (was_off(),))
    assert verdict.decide_reboot(asked, killed(), on).reason is Reason.REBOOTED
    assert verdict.decide_reboot(asked, at_rest, None).reason is Reason.ALREADY_OFF
    failed = verdict.decide_reboot(asked, killed(), unstarted)
    assert (failed.ok, failed.reason) == (True, Reason.REBOOTED_NOT_STARTED)
    assert "no memory left" in failed.text


@pytest.mark.parametrize(
    ("was", "starts"), [(state, state in (VmState.RUNNING, VmState.PAUSED)) for state in VmState], ids=str
)
def test_a_reboot_starts_only_what_was_alive(was: VmState, starts: bool) -> None:
    assert verdict.is_to_be_started(Evidence((), (replace(ended(), was=was),))) is starts


def test_on_succeeds_only_for_what_is_seen_running_after_the_request() -> None:
    asked, known = request(Action.ON), (record(VmState.OFF),)
    assert verdict.decide_on(asked, Evidence(known, (started(),))).reason is Reason.STARTED
    assert verdict.decide_on(asked, Evidence(known, (started(was=VmState.RUNNING),))).reason is Reason.ALREADY_ON
    assert verdict.decide_on(asked, Evidence(known)).reason is Reason.NOT_STARTED
    assert verdict.decide_on(asked, Evidence(known, (was_off(),))).reason is Reason.NOT_STARTED
    early = replace(started(), seen_at=RECEIVED)
    assert verdict.decide_on(asked, Evidence(known, (early,))).reason is Reason.NOT_STARTED
    assert verdict.decide_on(asked, Evidence(known, (replace(started(), vm=OTHER),))).reason is Reason.NOT_PROVEN
    assert verdict.decide_on(asked, Evidence(())).reason is Reason.UNKNOWN_VM


def test_s15_what_may_run_elsewhere_is_not_started_here() -> None:
    left = Evidence((record(VmState.UNKNOWN),), (started(),))
    assert verdict.decide_on(request(Action.ON), left).reason is Reason.NOT_STARTED
    both = Evidence((record(VmState.UNKNOWN), record(hypervisor="b")))
    assert verdict.s15_one_place_to_start(request(Action.ON), both) is None


@pytest.mark.parametrize("states", ((VmState.UNKNOWN,), (VmState.OFF, VmState.OFF)))
def test_s15_where_other_hosts_can_be_asked_they_are_before_an_on_is_refused(states: tuple[VmState, ...]) -> None:
    known = tuple(record(state, hypervisor=f"{place}") for place, state in enumerate(states))
    asked = Evidence(known, inquiry=Inquiry((HostId("here"), HostId("there"))))
    assert verdict.s15_one_place_to_start(request(Action.ON), asked) is None
    assert verdict.s15_one_place_to_start(request(Action.REBOOT), asked) is not None
    assert verdict.s15_one_place_to_start(request(Action.ON), replace(asked, inquiry=None)) is not None


@pytest.mark.parametrize(("hypervisor", "place"), (("a", "a"), ("", "here")))
def test_a_place_that_cannot_say_is_told_by_its_hypervisor_or_else_by_its_host(hypervisor: str, place: str) -> None:
    unknown = Evidence((record(VmState.UNKNOWN, hypervisor=hypervisor),))
    assert verdict.decide_status(request(Action.STATUS), unknown).text.startswith(f"{place} cannot say whether")
    objection = verdict.s15_one_place_to_start(request(Action.ON), unknown)
    assert objection is not None
    assert objection.text.startswith(f"{place} cannot say that")


@pytest.mark.parametrize("hypervisors", (("a", "b"), ("", "b"), ("", "")))
def test_of_several_places_that_cannot_say_the_first_is_told(hypervisors: tuple[str, str]) -> None:
    first, second = (record(VmState.UNKNOWN, hypervisor=each) for each in hypervisors)
    unknown = Evidence((first, replace(second, host=HostId("there"))))
    place = hypervisors[0] or "here"
    assert verdict.decide_status(request(Action.STATUS), unknown).text.startswith(f"{place} cannot say whether")
    objection = verdict.s15_one_place_to_start(request(Action.ON), unknown)
    assert objection is not None
    assert objection.text.startswith(f"{place} cannot say that")


def test_s1_of_several_places_that_were_looked_at_too_early_the_first_is_told() -> None:
    early = tuple(replace(ended(hypervisor=place), seen_at=RECEIVED) for place in ("a", "b"))
    assert off(replace(killed(2), observations=early)).text.startswith("a was looked at")


def test_on_goes_by_the_first_place_where_it_was_seen_running() -> None:
    known = (record(VmState.OFF),)
    late, early = started(), replace(started(was=VmState.RUNNING), seen_at=RECEIVED)
    asked = request(Action.ON)
    assert verdict.decide_on(asked, Evidence(known, (late, early))).reason is Reason.STARTED
    assert verdict.decide_on(asked, Evidence(known, (early, late))).reason is Reason.NOT_STARTED


def test_s13_an_off_tells_of_the_deaths_that_proved_it_and_a_reboot_why_nothing_was_started() -> None:
    dead = replace(was_off(), proof=Proof.HOST_FENCED, detail="a is off")
    here = replace(was_off("b"), detail="nothing here")
    whole = replace(killed(2), observations=(dead, here))
    outcome = off(whole)
    assert (outcome.reason, outcome.text) == (Reason.PROVEN_OFF, "a is off")
    rebooted = verdict.decide_reboot(request(Action.REBOOT), whole, None)
    assert (rebooted.reason, rebooted.text) == (
        Reason.REBOOTED_NOT_STARTED,
        "fenced, but not started again: a is off",
    )
    on = Evidence((record(VmState.OFF),), (started(),))
    assert verdict.decide_reboot(request(Action.REBOOT), whole, on).reason is Reason.REBOOTED


def test_on_names_the_places_that_could_start_it() -> None:
    objection = verdict.s15_one_place_to_start(
        request(Action.ON), Evidence((record(VmState.OFF), record(VmState.OFF, hypervisor="")))
    )
    assert objection is not None
    assert "(a, here)" in objection.text


@pytest.mark.parametrize(
    ("evidence", "reason"),
    (
        (Evidence((record(),)), Reason.STATUS_ON),
        (Evidence((record(VmState.PAUSED),)), Reason.STATUS_ON),
        (Evidence((record(VmState.SAVED),)), Reason.STATUS_ON),
        (Evidence((record(),), silent=("b",)), Reason.STATUS_ON),
        (Evidence((record(VmState.OFF), record(hypervisor="b"))), Reason.STATUS_ON),
        (Evidence((record(VmState.OFF),)), Reason.STATUS_OFF),
        (Evidence((record(VmState.OFF),), silent=("b",)), Reason.NOT_PROVEN),
        (Evidence((record(VmState.UNKNOWN),)), Reason.NOT_PROVEN),
        (Evidence((record(VmState.UNKNOWN, hypervisor=""),)), Reason.NOT_PROVEN),
        (Evidence(()), Reason.UNKNOWN_VM),
        (Evidence((), silent=("b",)), Reason.HYPERVISOR_ERROR),
    ),
)
def test_status_is_off_only_if_all_say_so(evidence: Evidence, reason: Reason) -> None:
    outcome = verdict.decide_status(request(Action.STATUS), evidence)
    assert outcome.reason is reason
    assert outcome.ok is (reason in (Reason.STATUS_ON, Reason.STATUS_OFF))


@given(evidences)
def test_status_says_off_only_if_everybody_answered_and_nobody_claims_it(evidence: Evidence) -> None:
    if verdict.decide_status(request(Action.STATUS), evidence).reason is Reason.STATUS_OFF:
        assert not evidence.silent
        assert {each.state for each in evidence.records} == {VmState.OFF}


def test_a_name_is_not_resolved_while_a_hypervisor_is_silent() -> None:
    found = Evidence((record(),), silent=("b",))
    by_name = verdict.first_objection(request(target="vm"), found, verdict.DOOR_RULES)
    assert by_name is not None
    assert by_name.reason is Reason.NOT_PROVEN
    assert verdict.first_objection(request(target=VM.upper()), found, verdict.DOOR_RULES) is None
    assert verdict.first_objection(request(target="vm"), replace(found, silent=()), verdict.DOOR_RULES) is None


def test_list_and_monitor_succeed_by_being_answered() -> None:
    assert verdict.decide_listed(request(Action.LIST)).reason is Reason.LISTED
    assert verdict.decide_alive(request(Action.MONITOR)).reason is Reason.ALIVE


def test_a_failure_needs_no_evidence() -> None:
    outcome = verdict.failure(request(), Objection(Reason.DENIED, "no"))
    assert (outcome.ok, outcome.observations) == (False, ())


@pytest.mark.parametrize("ok", (True, False))
def test_s7_the_same_request_gets_the_answer_that_another_host_gave(ok: bool) -> None:
    asked = request()
    reason = Reason.PROVEN_OFF if ok else Reason.NOT_PROVEN
    told = Outcome(HostId("b"), INCARNATION, EVERYONE, RequestId("theirs"), "identity", ok, reason, "a text", 5.0)
    outcome = verdict.repeated(asked, told)
    assert (outcome.request, outcome.ok, outcome.reason, outcome.text) == (asked.id, ok, reason, "a text")
