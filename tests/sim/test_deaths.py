"""Hosts that die with their VMs, and what their witnesses say of it (S13): each case a schedule made by hand."""

from __future__ import annotations

from dataclasses import replace

from tests.sim.asked import Asked
from tests.sim.happening import Happening, Kind
from tests.sim.oracle import CONFIRMED, SWITCHED_ON, Oracle
from tests.sim.plan import ALONE, OUTSIDE, Plan
from tests.sim.simulation import Simulation
from tests.sim.test_attacks import ONE, ask, happen


def run(*happenings: Happening, cluster: bool = False, agents: bool = False, acts: bool = False) -> Oracle:
    """Run it among three configured hosts."""
    plan = Plan(1, 3, ONE, happenings, length=60.0, cluster=cluster, agents=agents, acts=acts)
    return Simulation(plan).run()


def only(oracle: Oracle) -> Asked:
    """The one request; nothing was broken."""
    assert oracle.violations == []
    (asked,) = oracle.asked
    return asked


def fenced(at: float, span: float, action: str = "REBOOT", end: str = "") -> Happening:
    """The first host, by its cluster; its VMs start with it."""
    return replace(happen(at, Kind.FENCED, 0, span=span, rate=1.0), action=action, end=end)


def test_a_vm_on_a_host_that_dies_without_a_witness_is_not_fenced() -> None:
    asked = only(run(happen(9, Kind.HOST_CRASH, 0, span=50), ask(10, 1)))
    assert (asked.ok, asked.reason) == (False, "host-silent")


def test_a_power_agent_that_finds_the_host_off_stands_for_its_denial() -> None:
    asked = only(run(happen(9, Kind.HOST_CRASH, 0, span=50), ask(10, 1, span=14), agents=True))
    assert asked.ok
    assert "power" in asked.text


def test_a_host_whose_daemon_alone_died_is_alive_and_is_not_shot_for_it_before_it_is_silent() -> None:
    asked = only(run(happen(9, Kind.DAEMON_CRASH, 0, span=50), ask(10, 1, span=9), agents=True, acts=True))
    assert not asked.ok


def test_a_host_that_is_silent_past_its_heartbeats_is_switched_off_where_that_is_allowed() -> None:
    asked = only(run(happen(9, Kind.DAEMON_CRASH, 0, span=50), ask(26, 1, span=14), agents=True, acts=True))
    assert asked.ok


def test_a_host_that_its_cluster_reboots_while_all_others_stand_on_guard_is_dead() -> None:
    asked = only(run(happen(9, Kind.DAEMON_CRASH, 0, span=50), ask(10, 1, span=14), fenced(14, 30.0), cluster=True))
    assert asked.ok
    assert "rebooted" in asked.text


def test_a_reboot_before_the_request_proves_nothing() -> None:
    asked = only(run(fenced(10, 2.0, end=ALONE), ask(20, 1, span=14), cluster=True))
    assert not asked.ok


def test_what_was_saved_there_outlives_the_host_and_every_proof() -> None:
    dies = (happen(8, Kind.SAVE, 0, span=0.5), happen(12, Kind.HOST_CRASH, 0, span=50))
    asked = only(run(*dies, ask(14, 1, span=14), agents=True))
    assert not asked.ok


def test_a_proof_stands_for_its_host_alone() -> None:
    dies = (happen(9, Kind.HOST_CRASH, 0, span=50), happen(9, Kind.DAEMON_CRASH, 2, span=50))
    asked = only(run(*dies, ask(10, 1, span=14), agents=True))
    assert not asked.ok


def test_an_honest_operators_word_stands() -> None:
    asked = only(run(happen(9, Kind.HOST_CRASH, 0, span=50), happen(11, Kind.CONFIRM, 1, 0), ask(12, 1, span=14)))
    assert asked.ok


def test_an_operators_word_ends_with_the_hosts_next_sign_of_life() -> None:
    comes_back = happen(9, Kind.HOST_CRASH, 0, span=6.0, rate=1.0)
    dies_again = happen(24, Kind.DAEMON_CRASH, 0, span=30.0)
    asked = only(run(comes_back, happen(11, Kind.CONFIRM, 1, 0), dies_again, ask(26, 1, span=14)))
    assert not asked.ok


def test_a_wrong_word_of_an_operator_is_named_as_the_cause() -> None:
    lies = (happen(9, Kind.DAEMON_CRASH, 0, span=50), happen(11, Kind.CONFIRM, 1, 0))
    oracle = run(*lies, ask(12, 1, span=14))
    assert only(oracle).ok
    assert oracle.residues == {CONFIRMED: 1}


def test_a_host_that_was_switched_on_by_hand_and_is_heard_is_not_dead() -> None:
    oracle = run(fenced(10, 2.0, "OFF", OUTSIDE), ask(20, 1, span=14), cluster=True)
    assert only(oracle).ok  # it was asked itself, and has ended what it had started
    assert oracle.residues == {}


def test_a_host_that_was_switched_on_by_hand_and_is_not_heard_is_a_residue_that_is_named() -> None:
    oracle = run(fenced(12, 2.0, "OFF", ALONE), ask(24, 1, span=14), cluster=True)
    assert oracle.violations == []
    assert set(oracle.residues) <= {SWITCHED_ON}


def test_what_has_power_outweighs_a_history_that_says_off() -> None:
    """As the product weighs it: nobody switches a host on again whose VMs are then taken for dead."""
    oracle = run(fenced(12, 2.0, "OFF", ALONE), ask(24, 1, span=14), cluster=True, agents=True)
    asked = only(oracle)
    assert not asked.ok
    assert "switched on" in asked.text
    assert oracle.residues == {}


def test_power_after_a_reboot_takes_nothing_from_it() -> None:
    dies = happen(9, Kind.DAEMON_CRASH, 0, span=50)
    asked = only(run(dies, ask(10, 1, span=14), fenced(14, 0.3, end=ALONE), cluster=True, agents=True))
    assert asked.ok
    assert "rebooted" in asked.text


def test_an_operators_word_outweighs_power_and_is_named_as_the_cause_if_it_was_wrong() -> None:
    lies = (happen(9, Kind.DAEMON_CRASH, 0, span=50), happen(11, Kind.CONFIRM, 1, 0))
    oracle = run(*lies, ask(12, 1, span=14), agents=True)
    assert only(oracle).ok
    assert oracle.residues == {CONFIRMED: 1}


def test_a_host_that_an_operator_confirmed_dead_is_not_switched_off_for_its_power() -> None:
    lies = (happen(9, Kind.DAEMON_CRASH, 0, span=50), happen(11, Kind.CONFIRM, 1, 0))
    oracle = run(*lies, ask(26, 1, span=14), agents=True, acts=True)
    assert oracle.residues == {CONFIRMED: 1}
