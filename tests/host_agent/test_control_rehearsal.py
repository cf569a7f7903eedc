"""What a rehearsal tells of a fence, from one look and what every host says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host import control_rehearsal
from fencebus_host.evidence import Evidence
from fencebus_host.ports import HostWord
from fencebus_host.service import Look
from fencebus_schemas.model import Action, FenceRequest, HostId, Reason, Sight, VmState
from tests.host_agent.evidence import VM, record
from tests.host_agent.federated_site import fence_request

A, B, C = HostId("a"), HostId("b"), HostId("c")
OFF, RUNNING, UNKNOWN = (Sight(VM, state) for state in (VmState.OFF, VmState.RUNNING, VmState.UNKNOWN))
MOVING = replace(RUNNING, in_flight=True)
NOBODY: tuple[HostWord, ...] = (HostWord(A, OFF), HostWord(B, OFF), HostWord(C, OFF))


def asked(action: Action = Action.OFF) -> FenceRequest:
    return fence_request(action, "vm")


def look(state: VmState = VmState.RUNNING) -> Look:
    return Look(Evidence((replace(record(state), host=B),)), True, None)


def told(action: Action, *words: HostWord) -> tuple[bool, dict[str, str]]:
    """Whether all would go well, and the texts of the steps; of several with one name all in a row."""
    found: dict[str, str] = {}
    well = True
    for step in control_rehearsal.steps(asked(action), look(), words, ()):
        well = well and step.ok
        found[step.name] = f"{found.get(step.name, '')} | {step.text}".strip(" |")
    return well, found


def test_an_owner_that_would_obey_is_enough_for_a_plain_kill_whoever_is_silent() -> None:
    well, found = told(Action.OFF, HostWord(A, OFF), HostWord(B, RUNNING), HostWord(C, None))
    assert well
    assert found["host"] == "b, asked now: it is running there"
    assert found["hosts"] == "asked now, no life of it there: a | no answer: c; not needed for a plain kill"
    assert found["plan"] == "it would be ended and its end proven by b"


def test_an_owner_whose_groups_refuse_makes_it_fail() -> None:
    well, found = told(Action.OFF, HostWord(A, OFF), HostWord(B, RUNNING, Reason.DENIED))
    assert not well
    assert "it would refuse: denied (S6)" in found["host"]
    well, found = told(Action.OFF, HostWord(A, OFF), HostWord(B, RUNNING, Reason.PAUSED))
    assert not well
    assert "it would refuse: its daemon runs with --dry-run" in found["host"]


@pytest.mark.parametrize("action", (Action.OFF, Action.REBOOT))
def test_what_migrates_needs_the_word_of_everybody(action: Action) -> None:
    well, found = told(action, HostWord(A, OFF), HostWord(B, MOVING))
    assert well
    assert "every host would have to deny it" in found["plan"]
    assert "(S14)" in found["host"]
    well, found = told(action, HostWord(A, None), HostWord(B, MOVING))
    assert not well
    assert "a: " not in found["host"]
    assert "no answer: a; its denial, or a proof that it is dead, would be needed" in found["hosts"]


def test_what_everybody_denies_is_off_and_what_somebody_cannot_deny_is_not() -> None:
    assert told(Action.OFF, *NOBODY)[1]["plan"] == "it is off: nothing would be ended"
    stuck = replace(UNKNOWN, detail="libvirt does not answer")
    well, found = told(Action.OFF, HostWord(A, OFF), HostWord(B, stuck))
    assert not well
    assert found["host"].endswith("it is unknown there: libvirt does not answer")
    assert found["plan"] == "nobody can say where it runs"
    assert not told(Action.OFF, HostWord(A, OFF), HostWord(B, None))[0]


def test_a_start_needs_everybody_and_what_runs_is_not_started() -> None:
    well, found = told(Action.ON, *NOBODY)
    assert well
    assert found["plan"] == "it would be started, if every member denies that it has it by b"
    assert not told(Action.ON, HostWord(A, None), HostWord(B, OFF))[0]
    well, found = told(Action.ON, HostWord(A, OFF), HostWord(B, RUNNING))
    assert found["plan"] == "it is on already, on b: nothing would be started"
    alone = [step.text for step in control_rehearsal.steps(asked(Action.ON), look(), (), ())]
    assert alone[-1] == found["plan"]


def test_many_hosts_are_counted() -> None:
    words = [HostWord(HostId(f"h{number:02}"), OFF) for number in range(20)]
    assert told(Action.OFF, *words)[1]["hosts"].endswith("h07 and 12 more")
