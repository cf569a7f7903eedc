"""Each safety rule by itself, and what they decide together; the rules are S1 to S16 of the design."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import permission, verdict
from fencebus_host.denial import Inquiry
from fencebus_host.objection import Objection
from fencebus_host.permission import Standing
from fencebus_host.verdict import OFF_RULES, Evidence, Rule
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import (
    Action,
    FenceOutcome,
    HostId,
    Life,
    Observation,
    Proof,
    Reason,
    RequestId,
    VmRecord,
    VmState,
)
from fencebus_schemas.peer import EVERYONE, Outcome
from tests.components import CHECKOUT
from tests.host_agent.evidence import (
    INCARNATION,
    OTHER,
    RECEIVED,
    VM,
    ended,
    killed,
    no_time,
    record,
    request,
    started,
    was_off,
)

times = st.floats(0, 1000, allow_nan=False)
states = st.sampled_from(VmState)
places = st.sampled_from(("a", "b", "c"))
lives = st.none() | st.builds(Life, st.just("1"), st.none() | times)
records = st.builds(record, states, st.sampled_from((VM, VM, VM, OTHER)), places)
observations = st.builds(
    lambda vm, state, proof, at, flight, was, life, place: replace(
        ended(vm, place), state=state, proof=proof, seen_at=at, migration_in_flight=flight, was=was, ended=life
    ),
    st.sampled_from((VM, VM, VM, OTHER)),
    st.sampled_from((VmState.OFF, VmState.OFF, *VmState)),
    st.sampled_from((Proof.PROCESS_EXIT, *Proof)),
    times,
    st.sampled_from((False, False, True)),
    states,
    lives,
    places,
)
anything = st.builds(
    Evidence,
    st.lists(records, max_size=3).map(tuple),
    st.lists(observations, max_size=3).map(tuple),
    st.sampled_from(((), (), ("c is silent",))),
    st.sampled_from((None, None, Objection(Reason.DEADLINE, "late"))),
)
nearly_whole = st.builds(
    lambda whole, silent, more: replace(whole, silent=silent, observations=(*whole.observations, *more)),
    st.integers(1, 3).map(killed),
    st.sampled_from(((), ("c is silent",))),
    st.lists(observations, max_size=1),
)
evidences = anything | nearly_whole


def off(evidence: Evidence) -> FenceOutcome:
    return verdict.decide_off(request(), evidence)


# -- one property for each rule ----------


@given(evidences)
def test_s1_no_observation_that_is_not_later_than_the_request_gives_ok(evidence: Evidence) -> None:
    early = tuple(replace(seen, seen_at=min(seen.seen_at, RECEIVED)) for seen in evidence.observations)
    assert not off(replace(evidence, observations=early)).ok


@given(evidences)
def test_s2_nothing_known_or_nothing_observed_never_gives_ok(evidence: Evidence) -> None:
    assert not off(replace(evidence, records=())).ok
    assert not off(replace(evidence, observations=())).ok


@given(evidences)
def test_s2_with_somebody_silent_only_a_life_that_was_found_alive_and_ended_gives_ok(evidence: Evidence) -> None:
    silent = replace(evidence, silent=("b",))
    alive = any(seen.ended and seen.was in (VmState.RUNNING, VmState.PAUSED) for seen in evidence.observations)
    if off(silent).ok:
        assert alive


@given(evidences)
def test_s3_ok_means_that_each_place_that_knew_the_target_confirmed_its_end(evidence: Evidence) -> None:
    outcome = off(evidence)
    if outcome.ok:
        confirmed = {seen.hypervisor for seen in outcome.observations if seen.state is VmState.OFF}
        assert {each.hypervisor for each in evidence.records} <= confirmed


@given(evidences)
def test_s4_ok_means_that_every_observation_is_off_and_proven(evidence: Evidence) -> None:
    if off(evidence).ok:
        assert all(seen.state is VmState.OFF and seen.proof is not Proof.NONE for seen in evidence.observations)


@given(evidences, evidences, st.none() | evidences)
def test_s5_a_reboot_succeeds_exactly_if_its_off_does(
    first: Evidence, second: Evidence, third: Evidence | None
) -> None:
    asked = request(Action.REBOOT)
    assert verdict.decide_reboot(asked, first, second).ok == verdict.decide_off(asked, first).ok
    assert verdict.decide_reboot(asked, first, third).ok == verdict.decide_off(asked, first).ok


@given(evidences)
def test_s8_records_of_two_vms_never_give_ok(evidence: Evidence) -> None:
    two = replace(evidence, records=(*evidence.records, record(uuid=VM), record(uuid=OTHER)))
    for decide in (verdict.decide_off, verdict.decide_on, verdict.decide_status):
        assert not decide(request(), two).ok


@given(evidences, st.integers(0, 2))
def test_s14_one_observation_in_flight_spoils_all(evidence: Evidence, which: int) -> None:
    seen = list(evidence.observations) or [ended()]
    seen[which % len(seen)] = replace(seen[which % len(seen)], migration_in_flight=True)
    assert not off(replace(evidence, observations=tuple(seen))).ok


@given(evidences)
def test_s15_with_somebody_silent_nothing_is_started(evidence: Evidence) -> None:
    silent = replace(evidence, silent=("b",))
    assert verdict.s15_one_place_to_start(request(Action.ON), silent)
    assert not verdict.decide_on(request(Action.ON), silent).ok


@given(st.lists(records.filter(lambda each: each.uuid == VM), min_size=2, max_size=3))
def test_s15_of_several_places_only_the_one_where_it_is_alive_may_start_it(known: list[VmRecord]) -> None:
    alive = [each for each in known if each.state in (VmState.RUNNING, VmState.PAUSED)]
    allowed = verdict.s15_one_place_to_start(request(Action.ON), Evidence(tuple(known))) is None
    assert allowed == (len(alive) == 1)


@given(times, st.booleans(), st.booleans(), lives)
def test_s12_s16_an_act_is_allowed_only_in_time_and_wanted_and_uncondemned_and_on_an_old_life(
    now: float, wanted: bool, condemned: bool, life: Life | None
) -> None:
    asked = request()
    refused = permission.s12_s16_may_act(asked, Standing(now, wanted, condemned), life)
    young = life is not None and life.began_at is not None and life.began_at > asked.received_at
    assert (refused is None) == (now < asked.deadline.at and wanted and not condemned and not young)


# -- one piece of a success at a time ----------

Damage = Callable[[Observation], Observation]
DAMAGES: dict[str, Damage] = {
    "seen at the moment of the request": lambda seen: replace(seen, seen_at=RECEIVED),
    "seen before the request": lambda seen: replace(seen, seen_at=RECEIVED - 1),
    "without a proof": lambda seen: replace(seen, proof=Proof.NONE),
    "in flight": lambda seen: replace(seen, migration_in_flight=True),
    "of another VM": lambda seen: replace(seen, vm=OTHER),
    "of another place": lambda seen: replace(seen, hypervisor="elsewhere"),
    "running": lambda seen: replace(seen, state=VmState.RUNNING),
    "paused": lambda seen: replace(seen, state=VmState.PAUSED),
    "incoming": lambda seen: replace(seen, state=VmState.INCOMING),
    "saved": lambda seen: replace(seen, state=VmState.SAVED),
    "unknown": lambda seen: replace(seen, state=VmState.UNKNOWN),
}


@pytest.mark.parametrize("places_with_it", (1, 2, 3))
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_to_any_single_observation_of_a_success_takes_the_ok_away(damage: Damage, places_with_it: int) -> None:
    whole = killed(places_with_it)
    assert off(whole).ok
    for number in range(places_with_it):
        seen = list(whole.observations)
        seen[number] = damage(seen[number])
        assert not off(replace(whole, observations=tuple(seen))).ok


@pytest.mark.parametrize("places_with_it", (1, 2, 3))
def test_the_loss_of_any_single_observation_takes_the_ok_away(places_with_it: int) -> None:
    whole = killed(places_with_it)
    for number in range(places_with_it):
        left = whole.observations[:number] + whole.observations[number + 1 :]
        assert not off(replace(whole, observations=left)).ok


# -- every rule bites ----------

COUNTER_EXAMPLES: dict[Rule, Evidence] = {
    verdict.was_acted_on: replace(killed(), objection=Objection(Reason.NOT_RECORDED, "the disk is full")),
    verdict.s8_one_target: Evidence(
        (record(), record(uuid=OTHER, hypervisor="b")), (ended(), ended(OTHER, hypervisor="b"))
    ),
    verdict.s2_unknown_is_not_off: Evidence((record(VmState.OFF),), (was_off(),), silent=("b",)),
    verdict.observations_are_about_the_target: replace(killed(), observations=(ended(), ended(OTHER))),
    verdict.s1_observed_after_the_request: replace(killed(), observations=(replace(ended(), seen_at=RECEIVED),)),
    verdict.s14_nothing_in_flight: replace(killed(), observations=(replace(ended(), migration_in_flight=True),)),
    verdict.s4_off_is_proven: replace(killed(), observations=(replace(ended(), proof=Proof.NONE),)),
    verdict.s3_every_claim_has_ended: Evidence((record(), record(hypervisor="b")), (ended(),)),
}
"""For each rule evidence that no other rule objects to: none is masked.  Partly masked: s4 by s3 (an observation whose
state is not OFF confirms nothing; only an OFF without a proof is s4's alone), s2 by s3 (records without observations;
only silence is s2's alone, and an evidence without records, which s3 would wave through)."""


def test_each_rule_has_its_counter_example() -> None:
    assert set(COUNTER_EXAMPLES) == set(OFF_RULES)


@pytest.mark.parametrize(("rule", "evidence"), COUNTER_EXAMPLES.items(), ids=lambda it: getattr(it, "__name__", ""))
def test_without_this_one_rule_its_counter_example_would_be_called_fenced(rule: Rule, evidence: Evidence) -> None:
    asked = request()
    assert not verdict.decide_off(asked, evidence).ok
    others = tuple(each for each in OFF_RULES if each is not rule)
    assert verdict.first_objection(asked, evidence, others) is None


def test_without_s2_evidence_of_nothing_at_all_would_be_called_fenced() -> None:
    others = tuple(each for each in OFF_RULES if each is not verdict.s2_unknown_is_not_off)
    assert verdict.first_objection(request(), Evidence(()), others) is None
    assert off(Evidence(())).reason is Reason.UNKNOWN_VM


def test_a_saved_image_set_aside_here_says_nothing_about_a_silent_hypervisor() -> None:
    saved = Evidence((record(VmState.SAVED),), (replace(ended(), was=VmState.SAVED),), silent=("b",))
    assert off(saved).reason is Reason.NOT_PROVEN
    assert off(replace(saved, silent=())).ok


def test_a_running_life_that_was_ended_is_an_answer_though_another_hypervisor_is_silent() -> None:
    assert off(replace(killed(), silent=("b",))).ok


def test_a_life_that_had_ended_by_itself_before_the_look_does_not_outweigh_a_silent_hypervisor() -> None:
    assert off(Evidence((record(),), (was_off(),), silent=("b",))).reason is Reason.NOT_PROVEN


def test_a_life_that_nobody_ended_does_not_outweigh_a_silent_hypervisor() -> None:
    unended = replace(ended(), ended=None)
    assert off(Evidence((record(),), (unended,), silent=("b",))).reason is Reason.NOT_PROVEN


def test_only_the_verdict_builds_a_successful_outcome() -> None:
    makers = [
        f"{path.name}:{call.lineno}"
        for folder in ("schemas", "agent", "host_agent", "guest_client")
        for path in sorted((CHECKOUT / folder).rglob("*.py"))
        for call in _outcomes_in(path)
        if not _is_false(call)
    ]
    assert len(makers) == 1
    assert makers[0].startswith("verdict.py:")


def _outcomes_in(path: Path) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    makes = [call for call in calls if _name(call.func) == "FenceOutcome"]
    # replace(outcome, ok=True) would make one too.
    return makes + [call for call in calls if _name(call.func) == "replace" and _keyword(call, "ok") is not None]


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def _is_false(call: ast.Call) -> bool:
    ok = _keyword(call, "ok") or (call.args[1] if len(call.args) > 1 else None)
    return isinstance(ok, ast.Constant) and ok.value is False


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


@pytest.mark.parametrize("reason", (*permission.REFUSALS, Reason.INTERNAL))
def test_every_refusal_has_a_sentence(reason: Reason) -> None:
    assert permission.refused(reason).reason is reason
    assert len(permission.refused(reason).text) > 15


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


def test_the_deadline_of_a_request_stands_on_its_own_clock() -> None:
    late = request(deadline=Deadline(RECEIVED, no_time))
    assert permission.s12_s16_may_act(late, Standing(RECEIVED, True, False), None) is Reason.DEADLINE


@pytest.mark.parametrize("ok", (True, False))
def test_s7_the_same_request_gets_the_answer_that_another_host_gave(ok: bool) -> None:
    asked = request()
    reason = Reason.PROVEN_OFF if ok else Reason.NOT_PROVEN
    told = Outcome(HostId("b"), INCARNATION, EVERYONE, RequestId("theirs"), "identity", ok, reason, "a text", 5.0)
    outcome = verdict.repeated(asked, told)
    assert (outcome.request, outcome.ok, outcome.reason, outcome.text) == (asked.id, ok, reason, "a text")
