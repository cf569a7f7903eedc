"""Evidence of every kind, drawn at random: sound, flawed, and nearly enough."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from fencebus_host import verdict
from fencebus_host.objection import Objection
from fencebus_host.verdict import Evidence
from fencebus_schemas.model import (
    FenceOutcome,
    Life,
    Proof,
    Reason,
    VmState,
)
from tests.host_agent.evidence import (
    OTHER,
    VM,
    ended,
    killed,
    record,
    request,
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
