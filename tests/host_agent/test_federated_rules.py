"""What the words of many hosts prove, rule by rule."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import federated_rules, verdict
from fencebus_host.denial import Inquiry, Word
from fencebus_host.evidence import Evidence
from fencebus_schemas.model import Action, HostId, Reason, RequestId, Sight, VmState
from tests.host_agent.evidence import HERE, INCARNATION, VM, ended, killed, record, request, started, was_off

B = HostId("b")
OFF = Sight(VM, VmState.OFF, ended=("life",))
DENIALS = tuple(Word(host, INCARNATION, "s", OFF) for host in (HERE, B))
NOBODY_HAS_IT = Inquiry((HERE, B), DENIALS, DENIALS, history=(OFF,))
ASKED = request()
BROUGHT = replace(killed(), request=ASKED, inquiry=Inquiry((HERE, B)))


def test_a_plain_kill_that_was_ordered_for_a_request_fences_its_target() -> None:
    assert verdict.decide_off(ASKED, BROUGHT).reason is Reason.PROVEN_OFF


@given(st.sampled_from((Action.OFF, Action.ON, Action.REBOOT)), st.none() | st.builds(RequestId, st.text(min_size=1)))
def test_s7_what_was_asked_for_another_request_proves_nothing_about_this_one(
    action: Action, other: RequestId | None
) -> None:
    asked = request(action)
    of_another = None if other is None else replace(ASKED, id=other)
    for whole in (BROUGHT, replace(BROUGHT, observations=(), inquiry=NOBODY_HAS_IT)):
        brought = replace(whole, request=of_another)
        outcome = verdict.decide_reboot(asked, brought, None) if action is Action.REBOOT else None
        outcome = outcome or (verdict.decide_on if action is Action.ON else verdict.decide_off)(asked, brought)
        assert (outcome.ok, outcome.reason) == (False, Reason.STALE_OBSERVATION)


def test_a_start_that_was_ordered_for_another_request_is_not_told_as_ours() -> None:
    asked = request(Action.REBOOT)
    ended_for_it = replace(BROUGHT, request=asked)
    start = Evidence((record(),), (started(),), request=ASKED, inquiry=NOBODY_HAS_IT)
    assert verdict.decide_reboot(asked, ended_for_it, start).reason is Reason.REBOOTED_NOT_STARTED
    assert verdict.decide_reboot(asked, ended_for_it, replace(start, request=asked)).reason is Reason.REBOOTED


def test_a_refusal_is_told_whomever_it_was_asked_for() -> None:
    refused = verdict.decide_off(request(), replace(BROUGHT, objection=verdict.target_is_known(ASKED, Evidence(()))))
    assert refused.reason is Reason.UNKNOWN_VM


def test_one_host_alone_may_share_what_it_saw_itself() -> None:
    assert verdict.decide_off(request(), replace(killed(), request=ASKED)).ok


def test_nobody_has_it_is_as_good_as_a_kill() -> None:
    outcome = verdict.decide_off(ASKED, replace(BROUGHT, observations=(), inquiry=NOBODY_HAS_IT))
    assert outcome.reason is Reason.ALREADY_OFF


def test_what_is_missed_comes_with_the_last_word_of_who_tried() -> None:
    tried = replace(ended(), was=VmState.OFF, ended=None, detail="it was gone already")
    outcome = verdict.decide_off(ASKED, replace(BROUGHT, observations=(tried,)))
    assert not outcome.ok
    assert outcome.text.endswith("; it was gone already")


def test_one_host_alone_needs_no_members_word() -> None:
    assert federated_rules.s2_quorum_or_own_eyes(ASKED, killed()) is None
    assert federated_rules.s3_nobody_else_claims_it(ASKED, killed()) is None
    assert federated_rules.s2_killed_plainly_or_nobody_has_it(ASKED, killed()) is None
    assert federated_rules.s15_nobody_else_has_it(ASKED, killed()) is None


def test_of_several_who_tried_only_the_last_is_quoted() -> None:
    tried = tuple(replace(was_off(), detail=detail) for detail in ("the first", "the second", "", "the last"))
    outcome = verdict.decide_off(ASKED, replace(BROUGHT, observations=tried))
    lack = verdict.decide_off(ASKED, replace(BROUGHT, observations=())).text
    assert outcome.text == f"{lack}; the last"


def test_s2_without_a_quorum_only_what_was_seen_to_end_on_this_very_host_has_ended() -> None:
    alone = replace(BROUGHT, inquiry=Inquiry((HERE, B), minority=HERE))
    assert verdict.decide_off(ASKED, alone).ok
    elsewhere = replace(alone, observations=(replace(ended(), host=B),))
    assert verdict.decide_off(ASKED, elsewhere).reason is Reason.NO_QUORUM
    unseen = replace(alone, observations=(was_off(),))
    assert verdict.decide_off(ASKED, unseen).reason is Reason.NO_QUORUM


def test_s15_what_was_off_is_not_called_started_unless_every_member_has_denied_it_twice() -> None:
    asked = request(Action.ON)
    start = Evidence((record(VmState.OFF),), (started(),), request=asked, inquiry=NOBODY_HAS_IT)
    assert verdict.decide_on(asked, start).reason is Reason.STARTED
    once = replace(NOBODY_HAS_IT, second=())
    assert verdict.decide_on(asked, replace(start, inquiry=once)).reason is Reason.NOT_STARTED
    ran = replace(start, observations=(started(was=VmState.RUNNING),), inquiry=once)
    assert verdict.decide_on(asked, ran).reason is Reason.ALREADY_ON
    assert federated_rules.s15_nobody_else_has_it(asked, Evidence(())) is None
