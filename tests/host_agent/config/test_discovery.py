"""Which router a host takes by evidence, when it waits, and when it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.discovery import ORDER, Course, Decision, HostEvidence, decide, why_forbidden

ALL = frozenset(kind for way in ORDER for kind in way.kinds)
NOW = frozenset({"libvirt", "ovirt", "rhevm", "fence_agent"})
BARE = HostEvidence(built_in=NOW)
VDSM = ("/etc/vdsm/vdsm.id",)

evidence = st.builds(
    HostEvidence,
    vdsm=st.sampled_from(((), VDSM)),
    manager_hint=st.sampled_from(("", "engine.example (from /etc/x)")),
    corosync_configured=st.booleans(),
    corosync_runs=st.booleans(),
    configured=st.lists(st.sampled_from(sorted(ALL)), unique=True).map(tuple),
    libvirt=st.sampled_from(("", "no libvirt")),
    remembered=st.sampled_from(("", "local", "fence_agent", "checkpoint", "qmf", "ovirt", "unreadable")),
    built_in=st.sampled_from((NOW, ALL)),
)


def taken(seen: HostEvidence) -> str:
    decision = decide(seen)
    assert decision.course is Course.TAKE, decision.text
    return decision.kind


def outcomes(decision: Decision) -> dict[str, str]:
    return {row.router: row.outcome for row in decision.rows}


def test_a_bare_host_takes_local_whether_libvirt_answers_yet_or_not() -> None:
    assert taken(BARE) == "libvirt"
    assert taken(replace(BARE, libvirt="libvirt does not answer")) == "libvirt"


@pytest.mark.parametrize(
    ("seen", "kind"),
    (
        (HostEvidence(vdsm=VDSM, configured=("ovirt", "fence_agent")), "ovirt"),
        (HostEvidence(vdsm=VDSM, configured=("rhevm",)), "rhevm"),
        (HostEvidence(vdsm=VDSM, configured=("rhevm", "libvirt-qmf"), corosync_runs=True), "rhevm"),
        (HostEvidence(configured=("ovirt", "libvirt-qpid"), corosync_runs=True), "libvirt-qpid"),
        (HostEvidence(configured=("fence_agent",), corosync_runs=True), "checkpoint"),
        (HostEvidence(configured=("cpg",), corosync_runs=True), "cpg"),
        (HostEvidence(configured=("fence_agent", "libvirt")), "fence_agent"),
        (HostEvidence(configured=("ovirt",)), "libvirt"),
    ),
)
def test_the_first_of_the_order_that_fits_is_taken(seen: HostEvidence, kind: str) -> None:
    assert taken(replace(seen, built_in=ALL)) == kind


def test_a_host_of_vdsm_without_a_manager_refuses_and_names_the_manager_it_knows() -> None:
    seen = replace(BARE, vdsm=VDSM, manager_hint="engine.example (from /etc/x)", configured=("fence_agent",))
    decision = decide(seen)
    assert decision.course is Course.REFUSE
    assert "/etc/vdsm/vdsm.id" in decision.text
    assert 'url = "https://engine.example"' in decision.text
    assert "from /etc/x" in decision.text
    assert 'url = "https://MANAGER"' in decide(replace(BARE, vdsm=VDSM)).text


@pytest.mark.parametrize("configured", ((), ("fence_agent",), ("libvirt",)))
def test_a_corosync_that_is_configured_and_does_not_run_means_wait_and_never_local(configured: tuple[str, ...]) -> None:
    decision = decide(replace(BARE, corosync_configured=True, configured=configured))
    assert decision.course is Course.WAIT
    assert "does not run" in decision.text


@pytest.mark.parametrize("configured", (True, False))
def test_a_corosync_that_does_not_let_the_daemon_in_is_waited_for(configured: bool) -> None:
    seen = replace(BARE, corosync_configured=configured, corosync_runs=True, corosync_trouble="it is frozen")
    decision = decide(seen)
    assert decision.course is Course.WAIT
    assert decision.text.startswith("corosync runs, but: it is frozen: waiting for it")
    assert outcomes(decision)["checkpoint"] == "does not fit"


def test_a_corosync_that_does_not_run_holds_up_no_router_above_it() -> None:
    seen = HostEvidence(vdsm=VDSM, configured=("ovirt",), corosync_configured=True, built_in=ALL)
    assert taken(seen) == "ovirt"
    assert taken(replace(seen, vdsm=(), configured=("libvirt-qmf",))) == "libvirt-qmf"


def test_a_fall_below_the_last_choice_needs_an_operator_and_a_rise_does_not() -> None:
    fallen = decide(replace(BARE, remembered="fence_agent"))
    assert fallen.course is Course.REFUSE
    assert "was fence_agent, and now only local fits" in fallen.text
    assert taken(replace(BARE, remembered="local")) == "libvirt"
    assert taken(replace(BARE, remembered="local", configured=("fence_agent",))) == "fence_agent"
    assert decide(replace(BARE, remembered="unreadable")).course is Course.REFUSE


def test_a_router_that_this_version_does_not_have_is_told_honestly_and_the_next_is_taken() -> None:
    decision = decide(replace(BARE, corosync_runs=True, configured=("libvirt-qmf",)))
    assert decision.kind == "libvirt"
    assert "qmf, checkpoint would fit, but is not in this version" in decision.text
    assert outcomes(decision)["checkpoint"] == "fits, but is not in this version"


def test_the_table_says_who_won_and_why_the_others_lost() -> None:
    decision = decide(replace(BARE, configured=("fence_agent",)))
    assert outcomes(decision) == {
        "ovirt": "does not fit",
        "qmf": "does not fit",
        "checkpoint": "does not fit",
        "fence_agent": "taken",
        "local": "fits, but fence_agent comes first",
    }
    assert decision.text == "router fence_agent: no VDSM, no manager; no bus; no corosync; fence_agent"


@given(evidence)
def test_discovery_never_kills_on_a_host_of_vdsm_but_through_its_manager(seen: HostEvidence) -> None:
    decision = decide(seen)
    if seen.vdsm and decision.course is Course.TAKE:
        assert decision.kind in ("ovirt", "rhevm")


@given(evidence)
def test_discovery_never_takes_local_while_a_configured_corosync_does_not_run(seen: HostEvidence) -> None:
    if seen.corosync_configured and not seen.corosync_runs and decide(seen).course is Course.TAKE:
        assert decide(seen).router in ("ovirt", "qmf")


@given(evidence)
def test_discovery_never_falls_below_the_last_choice_and_takes_only_what_there_is(seen: HostEvidence) -> None:
    decision, names = decide(seen), [way.name for way in ORDER]
    if decision.course is Course.TAKE:
        assert decision.kind in seen.built_in
        assert not seen.remembered or names.index(decision.router) <= names.index(seen.remembered)


@given(evidence)
def test_the_same_host_gives_the_same_answer_with_one_row_a_router_and_at_most_one_winner(seen: HostEvidence) -> None:
    decision = decide(seen)
    assert decision == decide(replace(seen))
    assert [row.router for row in decision.rows] == [way.name for way in ORDER]
    wins = list(outcomes(decision).values()).count("taken")
    assert wins == (decision.course is Course.TAKE)
    assert decision.text
    assert "\n" not in decision.text


@given(evidence, st.booleans())
def test_what_somebody_chose_is_forbidden_on_a_host_of_vdsm_alone(seen: HostEvidence, kills: bool) -> None:
    assert bool(why_forbidden(["libvirt"], kills, seen)) == bool(seen.vdsm and kills)
    assert bool(why_forbidden(["ovirt", "cpg"], False, seen)) == bool(seen.vdsm)
