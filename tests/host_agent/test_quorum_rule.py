"""S2 where the hosts are counted: the smaller part of a cluster says nothing of others, and who leaves is silent."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import denial, verdict
from fencebus_host.acquaintance import Acquaintance
from fencebus_host.denial import Inquiry, Word
from fencebus_host.evidence import Evidence
from fencebus_host.ownership import Ownership
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, HostId, Observation, Reason, Sight, VmState
from fencebus_schemas.peer import Announce
from tests.host_agent.evidence import HERE, INCARNATION, VM, ended, record, request
from tests.host_agent.federated_site import described, site, until

OTHER = HostId("other")
OFF = Sight(VM, VmState.OFF, ended=("life",))
DENIALS = tuple(Word(host, INCARNATION, "s", OFF) for host in (HERE, OTHER))
NOBODY_HAS_IT = Inquiry((HERE, OTHER), DENIALS, DENIALS, history=(OFF,), configured=True)
ASKED = request()
KILLED_HERE = ended()
KILLED_THERE = replace(ended(), host=OTHER)


def brought(inquiry: Inquiry, *seen: Observation) -> Evidence:
    return Evidence((record(),), seen, request=ASKED, inquiry=inquiry)


@given(
    st.sampled_from((NOBODY_HAS_IT, Inquiry((HERE, OTHER)))),
    st.sampled_from(((), (KILLED_THERE,), (KILLED_HERE,), (KILLED_THERE, KILLED_HERE))),
)
def test_s2_without_a_quorum_only_what_ended_on_this_host_is_declared_off(
    inquiry: Inquiry, seen: tuple[Observation, ...]
) -> None:
    with_it = verdict.decide_off(ASKED, brought(inquiry, *seen))
    without = verdict.decide_off(ASKED, brought(replace(inquiry, minority=HERE), *seen))
    assert without.ok == (KILLED_HERE in seen)
    assert with_it.ok or not without.ok
    if with_it.ok and not without.ok:
        assert without.reason is Reason.NO_QUORUM


def test_s15_without_a_quorum_nothing_is_started() -> None:
    asked = request(Action.ON)
    seen = replace(KILLED_HERE, state=VmState.RUNNING, was=VmState.OFF, ended=None)
    evidence = replace(brought(NOBODY_HAS_IT, seen), request=asked)
    assert verdict.decide_on(asked, evidence).ok
    refused = verdict.decide_on(asked, replace(evidence, inquiry=replace(NOBODY_HAS_IT, minority=HERE)))
    assert (refused.reason, refused.text) == (Reason.NOT_STARTED, "here's part of the cluster has no quorum")


def test_nobody_has_it_is_no_conclusion_without_a_quorum() -> None:
    assert denial.missing(NOBODY_HAS_IT) is None
    lack = denial.missing(replace(NOBODY_HAS_IT, minority=HERE))
    assert lack is not None
    assert lack.reason is Reason.NO_QUORUM


def test_who_has_left_is_silent_at_once_and_until_it_speaks_again() -> None:
    others = Acquaintance(HERE, INCARNATION)
    others.departed(OTHER)
    assert not others.has_left(OTHER)  # nobody knew it
    others.heard(OTHER, INCARNATION, "token", 1.0)
    others.departed(OTHER)
    assert others.has_left(OTHER)
    others.heard(OTHER, INCARNATION, "token", 2.0)
    assert not others.has_left(OTHER)


def test_s13_that_a_host_has_left_is_told_as_silence_and_never_as_death() -> None:
    ownership = Ownership(HERE, INCARNATION)
    there = replace(INCARNATION, nonce="there")
    ownership.announce_heard(Announce(OTHER, there, HostId(""), 0, "", "", "token"), 10.0)
    assert not ownership.is_silent(OTHER, 11.0)
    ownership.departed(OTHER)
    assert ownership.is_silent(OTHER, 11.0)
    assert OTHER in ownership.members
    told = ownership.last_word(VM, OTHER, 13.0)
    assert told == "other has left the others, last heard 3 s ago, and is not proven fenced"


async def test_without_a_quorum_an_off_of_another_host_is_not_shown_and_a_claim_is() -> None:
    vms = {"here": [described(1)], "other": [described(2, VmState.OFF), described(3)]}
    async with site(vms) as (_, hosts):
        router = hosts["here"].router
        router.quorum(False)
        shown = {seen.name: seen.state for seen in await router.list(Deadline.after(30))}
        assert shown == {"vm1": VmState.RUNNING, "vm2": VmState.UNKNOWN, "vm3": VmState.RUNNING}
        assert not (await hosts["here"].ask(Action.STATUS, "vm2")).outcome.ok
        refused = (await hosts["here"].ask(Action.OFF, "vm3", seconds=0.5)).outcome
        assert (refused.ok, refused.reason) == (False, Reason.NO_QUORUM)
        assert (await hosts["here"].ask(Action.OFF, "vm1")).outcome.ok
        router.quorum(True)
        assert (await hosts["here"].ask(Action.STATUS, "vm2")).outcome.reason is Reason.STATUS_OFF


async def test_a_host_that_has_left_has_nothing_for_certain_until_it_speaks_again() -> None:
    async with site({"here": [described(1)], "other": [described(2)]}) as (_, hosts):
        router = hosts["here"].router
        router.departed(OTHER)
        assert [seen.state for seen in await router.list(Deadline.after(30))] == [VmState.RUNNING, VmState.UNKNOWN]
        assert router.trouble == "other is silent"
        hosts["other"].announce()
        await until(lambda: router.trouble is None)
