"""Which events say nothing but what a kill has proven already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_agent.hypervisor import MISSED, DomainEvent
from fencebus_host.routers.federated.echoes import ECHO_SECONDS, Echoes, Meaning
from fencebus_schemas.model import Life, Observation, Proof, Uuid, VmState
from tests.host_agent.evidence import HERE, INCARNATION

VM, OTHER = Uuid("00000001-0000-4000-8000-000000000000"), Uuid("00000002-0000-4000-8000-000000000000")
NOW = 1.2
KILLED = Observation(
    VM, VmState.OFF, HERE, INCARNATION, Proof.PROCESS_EXIT, 1.0, False, VmState.RUNNING, Life("mark", 0.5)
)


def after(*kills: Observation) -> Echoes:
    echoes = Echoes()
    for kill in kills:
        echoes.killed(kill, 1.0)
    return echoes


def test_the_end_of_a_life_that_was_ended_here_is_no_news_and_the_next_one_is() -> None:
    echoes = after(KILLED)
    assert echoes.is_echo(DomainEvent(VM, "shutdown"), NOW)
    assert echoes.is_echo(DomainEvent(VM, "stopped"), NOW)
    assert not echoes.is_echo(DomainEvent(VM, "stopped"), NOW)


def test_a_kill_that_found_it_dead_already_changes_nothing() -> None:
    echoes = after(KILLED, replace(KILLED, was=VmState.OFF, ended=None))
    assert echoes.is_echo(DomainEvent(VM, "stopped"), NOW)
    assert not after(replace(KILLED, was=VmState.OFF, ended=None)).is_echo(DomainEvent(VM, "stopped"), NOW)


@pytest.mark.parametrize(
    "event",
    (
        DomainEvent(VM, "started"),
        DomainEvent(VM, "stopped", "migration"),
        DomainEvent(VM, "resumed"),
        DomainEvent(VM, MISSED),
    ),
)
def test_whatever_else_is_heard_is_news_and_so_is_what_follows(event: DomainEvent) -> None:
    echoes = after(KILLED)
    assert not echoes.is_echo(event, NOW)
    assert not echoes.is_echo(DomainEvent(VM, "stopped"), NOW)


def test_a_saved_image_that_was_set_aside_has_no_echo() -> None:
    set_aside = replace(KILLED, was=VmState.SAVED)
    assert not after(set_aside).is_echo(DomainEvent(VM, "stopped"), NOW)
    assert after(KILLED, set_aside).is_echo(DomainEvent(VM, "stopped"), NOW)


@pytest.mark.parametrize(
    "kill", (replace(KILLED, migration_in_flight=True), replace(KILLED, state=VmState.RUNNING, proof=Proof.NONE))
)
def test_after_a_kill_that_proves_nothing_every_event_is_news(kill: Observation) -> None:
    assert not after(KILLED, kill).is_echo(DomainEvent(VM, "stopped"), NOW)


def test_other_vms_are_not_meant() -> None:
    assert not after(KILLED).is_echo(DomainEvent(OTHER, "stopped"), NOW)


def test_what_comes_late_is_news_as_a_life_may_have_come_and_gone_while_events_were_lost() -> None:
    echoes = after(KILLED)
    assert echoes.is_echo(DomainEvent(VM, "shutdown"), 1.0 + ECHO_SECONDS - 0.1)
    assert not echoes.is_echo(DomainEvent(VM, "stopped"), 1.0 + ECHO_SECONDS)
    assert not echoes.is_echo(DomainEvent(VM, "stopped"), NOW)


def test_what_is_heard_in_the_midst_of_a_kill_gets_its_meaning_with_the_result() -> None:
    echoes, end = Echoes(), DomainEvent(VM, "stopped")
    echoes.begin(VM)
    assert echoes.heard(end, NOW) is Meaning.UNKNOWN
    assert echoes.heard(DomainEvent(OTHER, "stopped"), NOW) is Meaning.NEWS
    assert echoes.over(VM) == [end]
    echoes.killed(KILLED, NOW)
    assert echoes.heard(end, NOW) is Meaning.ECHO
    assert echoes.heard(end, NOW) is Meaning.NEWS


def test_of_a_kill_without_a_result_every_event_is_news() -> None:
    echoes, end = Echoes(), DomainEvent(VM, "stopped")
    echoes.begin(VM)
    assert echoes.heard(end, NOW) is Meaning.UNKNOWN
    assert echoes.over(VM) == [end]
    assert echoes.heard(end, NOW) is Meaning.NEWS
    assert echoes.over(VM) == []


@pytest.mark.parametrize("event", (DomainEvent(VM, "started"), DomainEvent(VM, "stopped", "migration")))
def test_what_no_kill_brings_about_is_news_in_its_midst_too(event: DomainEvent) -> None:
    echoes = Echoes()
    echoes.begin(VM)
    assert echoes.heard(event, NOW) is Meaning.NEWS
    assert echoes.over(VM) == []
