"""The table of states: what each of the API's words means for a fence, and that no other word means off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.ovirt.states import STATES, Conclusion, conclusion, is_settled, shown, vm_state
from fencebus_schemas.model import VmState

RUNNING = ("up", "powering_up", "powering_down", "reboot_in_progress", "wait_for_launch", "migrating", "not_responding")
OTHERS = ("down", "suspended", "paused", "saving_state", "restoring_state", "image_locked", "unknown", "unassigned")


def test_every_state_of_the_api_is_in_the_table_and_a_missing_one_too() -> None:
    assert {*RUNNING, *OTHERS, ""} == STATES


def test_only_down_ends_a_fence_at_once() -> None:
    assert [state for state in STATES if conclusion(state) is Conclusion.ENDED] == ["down"]


def test_only_states_without_a_process_are_off() -> None:
    assert {state for state in STATES if vm_state(state) is VmState.OFF} == {"down", "image_locked", ""}


@given(st.text(max_size=20).filter(lambda text: text not in STATES))
def test_a_word_that_nobody_knows_is_unknown(word: str) -> None:
    assert conclusion(word) is Conclusion.UNKNOWN
    assert vm_state(word) is VmState.UNKNOWN


@pytest.mark.parametrize("state", sorted(STATES))
def test_what_claims_a_life_is_not_taken_for_its_end(state: str) -> None:
    claims = vm_state(state).is_claim
    assert claims == (conclusion(state) in (Conclusion.ALIVE, Conclusion.BUSY, Conclusion.SAVED))


def test_abnormal_states_are_read_twice() -> None:
    assert [state for state in sorted(STATES) if not is_settled(state)] == ["", "image_locked"]


def test_a_missing_state_can_be_shown() -> None:
    assert shown("") != ""
    assert shown("up") == "up"
