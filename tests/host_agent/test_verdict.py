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
from fencebus_host.objection import Objection
from fencebus_host.permission import Standing
from fencebus_host.verdict import OFF_RULES, Evidence, Rule
from fencebus_schemas.model import (
    Action,
    Life,
    Observation,
    Proof,
    Reason,
    VmRecord,
    VmState,
)
from tests.components import CHECKOUT
from tests.host_agent.evidence import (
    OTHER,
    RECEIVED,
    VM,
    ended,
    killed,
    record,
    request,
    was_off,
)
from tests.host_agent.evidences import evidences, lives, off, records, times

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
