"""What a host's own agent is asked, and what its answers prove."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.host_death import Fate
from fencebus_host.proofs.host_agents import Leave, Run, next_verb, says
from fencebus_host.routers.fence_agent.contract import NO_TIME, Finished, Verb
from fencebus_schemas.model import HostId

B = HostId("b")
ON, OFF = Finished(0, "Status: ON\n"), Finished(2, "Status: OFF\n")
DONE, FAILED, KILLED = Finished(0), Finished(1, complaint="no route"), Finished(None, ended_for=NO_TIME)
answers = st.sampled_from((ON, OFF, DONE, FAILED, KILLED, Finished(2), Finished(0, "Status: OFF\n")))


def course(leave: Leave, *told: Finished) -> list[Run]:
    runs: list[Run] = []
    for each in told:
        verb = next_verb(runs, leave)
        if verb is None:
            break
        runs.append(Run(verb, each))
    return runs


@given(st.lists(answers, min_size=5, max_size=5))
def test_a_look_never_acts(told: list[Finished]) -> None:
    assert [run.verb for run in course(Leave.LOOK, *told)] == [Verb.STATUS]


@given(st.lists(answers, min_size=8, max_size=8))
def test_with_leave_it_acts_once_after_a_status_of_on_and_looks_behind(told: list[Finished]) -> None:
    verbs = [run.verb for run in course(Leave.ACT, *told)]
    expected = [Verb.STATUS, Verb.OFF, Verb.STATUS] if told[0] in (ON, DONE) else [Verb.STATUS]
    assert verbs == expected


@given(st.lists(answers, max_size=3), st.sampled_from(Leave))
def test_only_a_last_status_of_off_proves_anything(told: list[Finished], leave: Leave) -> None:
    runs = course(leave, *told)
    found = says(B, "fence_ipmilan", runs)
    assert (found.fate is Fate.OFF) == (bool(runs) and runs[-1] == Run(Verb.STATUS, OFF))
    assert (found.fate is Fate.POWERED) == (bool(runs) and runs[-1] in (Run(Verb.STATUS, ON), Run(Verb.STATUS, DONE)))
    assert found.fate in (Fate.OFF, Fate.POWERED, Fate.UNKNOWN)


def test_the_words_say_what_was_done_and_what_to_do() -> None:
    acted = course(Leave.ACT, ON, DONE, OFF)
    assert says(B, "fence_ipmilan", acted).text == ("fence_ipmilan was told to switch b off, and says that b is off")
    assert "if only fence_virtd on b has died, start it" in says(B, "fence_ipmilan", course(Leave.LOOK, ON)).text
    assert says(B, "fence_ipmilan", course(Leave.ACT, ON), "not twice").text.endswith("switched on; not twice")
    assert "no route" in says(B, "fence_ipmilan", course(Leave.LOOK, FAILED)).text
    assert "no time" in says(B, "fence_ipmilan", []).text
    for runs, cut_off in (([], True), (course(Leave.LOOK, KILLED), True), (course(Leave.LOOK, FAILED), False)):
        assert says(B, "fence_ipmilan", runs).cut_off is cut_off
    assert "still" in says(B, "fence_ipmilan", course(Leave.ACT, ON, FAILED, ON)).text
