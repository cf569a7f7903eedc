"""Which of several routers has a VM."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import verdict
from fencebus_host.objection import Objection
from fencebus_host.routers.choice import by_name, by_uuid, settles
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import Action, Reason, VmState
from tests.host_agent.evidence import OTHER, VM, killed, record, request

MINE, THEIRS = Evidence((record(),)), Evidence((record(uuid=OTHER, hypervisor="b"),))
NO, DOWN = Evidence(()), Evidence((), silent=("manager: no answer",))
HALF = Evidence((record(),), silent=("manager: no answer",))

answers = st.lists(st.sampled_from((MINE, THEIRS, NO, DOWN, HALF)), max_size=5)


def test_the_first_that_knows_the_vm_has_it() -> None:
    assert by_uuid([NO, MINE, THEIRS]).router == 1
    assert by_name([NO, MINE, MINE]).router == 1


def test_one_that_is_down_does_not_hand_its_vm_to_the_next() -> None:
    for choose in (by_uuid, by_name):
        found = choose([DOWN, MINE])
        assert found.router is None
        assert found.evidence.records == ()
        assert found.evidence.silent == DOWN.silent


def test_a_refusal_of_an_earlier_router_is_not_overruled_by_a_later_one() -> None:
    refusal = Evidence((), objection=Objection(Reason.DENIED, "no permission"))
    for choose in (by_uuid, by_name):
        found = choose([refusal, NO])
        assert found.router is None
        assert found.evidence.objection == refusal.objection
    assert by_uuid([refusal, MINE]).evidence == refusal


def test_a_vm_that_nobody_knows_is_nobodys() -> None:
    assert by_uuid([NO, NO]).evidence == by_name([NO, NO]).evidence == NO
    assert by_uuid([]).router is None


def test_a_name_that_two_routers_have_for_different_vms_is_ambiguous() -> None:
    found = by_name([MINE, THEIRS])
    assert verdict.s8_one_target(request(target="vm"), found.evidence)
    assert found.router is None


def test_a_name_is_nobodys_while_a_later_router_is_silent() -> None:
    found = by_name([MINE, DOWN])
    assert verdict.s8_name_is_resolved(request(target="vm"), found.evidence)


@given(answers)
def test_nothing_before_the_router_that_has_it_is_silent_or_knows_it(given_: list[Evidence]) -> None:
    for found in (by_uuid(given_), by_name(given_)):
        if found.router is not None:
            assert not any(settles(answer) for answer in given_[: found.router])
            assert given_[found.router].records == found.evidence.records


@given(answers)
def test_no_silence_is_lost_when_a_name_is_chosen(given_: list[Evidence]) -> None:
    said = {text for answer in given_ for text in answer.silent}
    assert set(by_name(given_).evidence.silent) == said


@given(answers, st.integers(0, 5))
def test_no_fence_that_fails_with_a_router_up_succeeds_because_it_went_down(given_: list[Evidence], place: int) -> None:
    """Taking one router down never makes a later router's VM the target."""
    before = by_uuid(given_)
    down = [DOWN if index == place else answer for index, answer in enumerate(given_)]
    after = by_uuid(down)
    if after.router is not None:
        assert after.router == before.router
        assert after.router < place or place >= len(given_)


@given(answers)
def test_an_off_that_would_be_refused_at_the_door_is_refused_with_any_observations(given_: list[Evidence]) -> None:
    found = by_name(given_)
    if found.router is None:
        seen = replace(found.evidence, observations=killed().observations)
        off = request(Action.OFF, "vm")
        assert verdict.first_objection(off, found.evidence, verdict.DOOR_RULES)
        assert found.evidence.records or not verdict.decide_off(off, seen).ok


def test_the_words_of_the_records_are_kept() -> None:
    saved = Evidence((record(VmState.SAVED, VM),))
    assert by_uuid([NO, saved]).evidence is saved
