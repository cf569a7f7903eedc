"""The bytes that C's clients read."""

from __future__ import annotations

import pytest

from fencebus_host.ports import Answer
from fencebus_host.replies import line_reply, list_records, network_reply, reply_code
from fencebus_schemas.model import FenceOutcome, Reason, RequestId, VmState
from fencebus_schemas.xvm import RECORD_LENGTH, REPLY_DENIED, REPLY_FAILURE, REPLY_LIST, REPLY_OFF, REPLY_SUCCESS
from tests.host_agent.evidence import record

GOOD = {
    Reason.PROVEN_OFF,
    Reason.ALREADY_OFF,
    Reason.REBOOTED,
    Reason.REBOOTED_NOT_STARTED,
    Reason.STARTED,
    Reason.ALREADY_ON,
    Reason.STATUS_ON,
    Reason.STATUS_OFF,
    Reason.LISTED,
    Reason.ALIVE,
}


def outcome(ok: bool, reason: Reason) -> FenceOutcome:
    return FenceOutcome(RequestId("id"), ok, reason)


@pytest.mark.parametrize("reason", Reason)
def test_success_is_said_of_successes_alone(reason: Reason) -> None:
    expected = REPLY_OFF if reason is Reason.STATUS_OFF else REPLY_SUCCESS
    if reason in GOOD:
        assert reply_code(outcome(True, reason)) == expected
    refused = REPLY_DENIED if reason is Reason.DENIED else REPLY_FAILURE
    assert reply_code(outcome(False, reason)) == refused


def test_the_codes_are_those_of_c() -> None:
    assert (REPLY_SUCCESS, REPLY_FAILURE, REPLY_OFF, REPLY_DENIED) == (0, 1, 2, 3)


@pytest.mark.parametrize(("state", "number"), ((state, 5 if state is VmState.OFF else 1) for state in VmState))
def test_only_what_is_off_is_listed_as_off(state: VmState, number: int) -> None:
    assert [each.state for each in list_records([record(state)])] == [number]


def test_a_list_is_one_byte_a_record_for_each_vm_an_empty_record_and_a_result() -> None:
    reply = network_reply(Answer(outcome(True, Reason.LISTED), (record(), record(VmState.OFF))))
    assert reply[0] == REPLY_LIST
    assert len(reply) == 1 + 3 * RECORD_LENGTH + 1
    assert reply[-RECORD_LENGTH - 1 :] == bytes(RECORD_LENGTH) + bytes([REPLY_SUCCESS])


def test_an_empty_list_still_ends() -> None:
    assert network_reply(Answer(outcome(True, Reason.LISTED))) == bytes(
        [REPLY_LIST, *bytes(RECORD_LENGTH), REPLY_SUCCESS]
    )


def test_a_list_that_failed_is_one_byte() -> None:
    assert network_reply(Answer(outcome(False, Reason.HYPERVISOR_ERROR), (record(),))) == bytes([REPLY_FAILURE])


def test_everything_else_is_one_byte() -> None:
    assert network_reply(Answer(outcome(True, Reason.STATUS_OFF))) == bytes([REPLY_OFF])


def test_on_a_line_a_list_ends_with_its_empty_record() -> None:
    reply = line_reply(Answer(outcome(True, Reason.LISTED), (record(),)))
    assert reply[4] == REPLY_LIST
    assert reply[5:] == network_reply(Answer(outcome(True, Reason.LISTED), (record(),)))[1:-1]


def test_on_a_line_everything_else_is_the_magic_and_one_byte() -> None:
    assert line_reply(Answer(outcome(True, Reason.STATUS_OFF))) == b"abba" + bytes([REPLY_OFF])
