"""A console's call as a fence request, and what it is told of the outcome."""

from __future__ import annotations

import pytest

from fencebus_agent.qmf_calls import CallRefused
from fencebus_host.qmf_face_requests import (
    Asked,
    asked_for,
    domain_answer,
    fence_answer,
    patience_of,
    refusal,
    request_of,
    source_of,
)
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.model import Action, FenceOutcome, Reason, RequestId
from fencebus_schemas.qmf2_messages import Code


def asked(request_id: str = "", user: str = "admin") -> Asked:
    return Asked(Action.OFF, "vm1", user, request_id)


def test_a_request_has_an_id_of_128_random_bits_and_the_deadline_of_its_receipt() -> None:
    request = request_of(asked(), 25.0, lambda: 100.0)
    assert (request.received_at, request.deadline.at, request.via) == (100.0, 125.0, "qmf")
    assert len(request.id) == 32
    assert request_of(asked(), 25.0).id != request.id


def test_only_the_same_user_with_the_same_id_asks_for_the_same() -> None:
    one = request_of(asked("17"), 25.0).identity
    assert request_of(asked("17"), 25.0).identity == one
    others = [asked("18"), asked("17", "other"), asked(), asked()]
    assert len({one, *(request_of(each, 25.0).identity for each in others)}) == 5


@pytest.mark.parametrize(
    ("user", "text"), (("admin", "qmf:admin"), ("", "qmf:"), ("a\nb c\x00", "qmf:a?b?c?"), ("jürg", "qmf:jürg"))
)
def test_a_user_cannot_write_into_the_log(user: str, text: str) -> None:
    source = source_of(user)
    assert (source.text, source.vm, source.known) == (text, None, False)


@pytest.mark.parametrize("reason", Reason)
def test_no_failure_looks_like_a_success_to_an_old_daemon_that_has_one_byte_for_it(reason: Reason) -> None:
    told = refusal(FenceOutcome(RequestId("1"), False, reason, text="why"))
    assert told.code % 256 not in (0, 2)
    assert told.detail == f"{reason.value}: why"


def test_what_is_denied_is_forbidden_and_what_is_unknown_is_no_object() -> None:
    codes = {reason: refusal(FenceOutcome(RequestId("1"), False, reason)).code for reason in Reason}
    assert (codes[Reason.DENIED], codes[Reason.UNKNOWN_VM]) == (Code.FORBIDDEN, Code.UNKNOWN_OBJECT)
    assert codes[Reason.NOT_PROVEN] == Code.EXCEPTION


def test_a_failed_fence_is_an_exception_of_a_domain_and_an_output_of_fence() -> None:
    failed = FenceOutcome(RequestId("1"), False, Reason.DEADLINE, text="late")
    with pytest.raises(CallRefused, match="deadline: late"):
        domain_answer(failed)
    assert fence_answer(failed) == {"ok": False, "reason": "deadline", "text": "late"}


def test_the_actions_are_those_that_change_power() -> None:
    arguments: Map = {"target": "vm1", "action": "reboot", "requestId": "7", "timeout": 3}
    assert asked_for(arguments, "admin") == Asked(Action.REBOOT, "vm1", "admin", "7")
    for action in ("status", "OFF", "", "null"):
        with pytest.raises(CallRefused):
            asked_for({**arguments, "action": action}, "admin")


@pytest.mark.parametrize(("timeout", "seconds"), ((0, 25.0), (3, 3.0), (90, 25.0), ("x", 25.0)))
def test_a_call_may_be_less_patient_than_the_service_but_not_more(timeout: int | str, seconds: float) -> None:
    assert patience_of({"timeout": timeout}, 25.0) == seconds
