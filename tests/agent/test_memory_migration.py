"""A live migration in memory: every phase, and what becomes of each side when something ends in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fencebus_agent.death import Job, Power
from fencebus_agent.memory_machines import Hold, Why, WorldRefusal
from fencebus_agent.memory_migration import Migration, Phase, Route
from fencebus_agent.memory_world import World
from fencebus_schemas.model import HostId
from tests.agent.memory_worlds import (
    ARRIVES,
    AT_A,
    AT_B,
    BOUND_FOR_B,
    NOWHERE,
    VM,
    A,
    B,
    P,
    R,
    at_phase,
    finish,
    holds,
)

# phase: what libvirt of the source says, of the destination, and the truth
WORDS: dict[Phase, tuple[tuple[Power, Why, Job], tuple[Power, Why | None, Job], dict[HostId, Hold]]] = {
    Phase.BEGUN: (
        (Power.RUNNING, Why.BOOTED, Job.MIGRATION),
        (Power.GONE, None, Job.NONE),
        {A: R},
    ),
    Phase.PREPARED: (
        (Power.RUNNING, Why.BOOTED, Job.MIGRATION),
        (Power.INCOMING, Why.STARTING_UP, Job.UNSEEN),
        {A: R},
    ),
    Phase.COPYING: (
        (Power.RUNNING, Why.BOOTED, Job.MIGRATION),
        (Power.INCOMING, Why.MIGRATION, Job.UNSEEN),
        {A: R},
    ),
    Phase.SOURCE_PAUSED: (
        (Power.OUTGOING, Why.MIGRATION, Job.MIGRATION),
        (Power.INCOMING, Why.MIGRATION, Job.UNSEEN),
        {A: P},
    ),
    Phase.TRANSFERRED: (
        (Power.OUTGOING, Why.MIGRATION, Job.MIGRATION),
        (Power.INCOMING, Why.MIGRATION, Job.UNSEEN),
        {A: P, B: ARRIVES},
    ),
    Phase.SWITCHED_OVER: (
        (Power.OUTGOING, Why.MIGRATION, Job.NONE),
        (Power.RUNNING, Why.MIGRATED, Job.NONE),
        {B: R},
    ),
    Phase.POSTCOPY: (
        (Power.OUTGOING, Why.POSTCOPY, Job.MIGRATION),
        (Power.UNSETTLED, Why.POSTCOPY, Job.NONE),
        {B: R},
    ),
    Phase.CONFIRMED: (
        (Power.LEFT, Why.MIGRATED, Job.NONE),
        (Power.RUNNING, Why.MIGRATED, Job.NONE),
        {B: R},
    ),
}


@pytest.mark.parametrize("phase", WORDS)
def test_each_phase_has_its_words_and_its_truth(phase: Phase) -> None:
    world, _ = at_phase(phase, Route(VM, A, B, undefine=False))
    source, destination, truth = WORDS[phase]
    for host, words in ((A, source), (B, destination)):
        seen = world.look(host, VM)
        assert (seen.power, seen.why, seen.job) == words
    assert holds(world) == truth
    assert len({writer.life for writer in world.writers()}) == 1


@pytest.mark.parametrize("phase", [phase for phase in WORDS if phase is not Phase.CONFIRMED])
def test_while_it_lasts_the_source_is_in_flight(phase: Phase) -> None:
    world, _ = at_phase(phase)
    assert world.look(A, VM).in_flight


KILL, CRASH = "kill", "crash"
Fault = Callable[[World, Migration], object]

FAULTS: dict[str, Fault] = {
    "kill source": lambda world, _: world.kill(A, VM),
    "kill destination": lambda world, _: world.kill(B, VM),
    "crash source": lambda world, _: world.crash(A),
    "crash destination": lambda world, _: world.crash(B),
    "cancel": lambda _, migration: migration.cancel(),
}
REFUSED = None

# phase: (directly after: where it may write, and the phase; then, when all is over: the same)
TABLE: dict[Phase, dict[str, tuple[dict[HostId, Hold], Phase, dict[HostId, Hold], Phase] | None]] = {
    Phase.BEGUN: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.BEGUN, AT_B, Phase.CONFIRMED),  # nothing is there to be killed
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.BEGUN, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.PREPARED: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.COPYING: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.SOURCE_PAUSED: {
        "kill source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),  # the VM lives on at the source
        "crash source": (NOWHERE, Phase.FAILING, NOWHERE, Phase.FAILED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.TRANSFERRED: {
        "kill source": (BOUND_FOR_B, Phase.TRANSFERRED, AT_B, Phase.CONFIRMED),  # the destination goes on
        "kill destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "crash source": (BOUND_FOR_B, Phase.TRANSFERRED, AT_B, Phase.CONFIRMED),
        "crash destination": (AT_A, Phase.FAILED, AT_A, Phase.FAILED),
        "cancel": (AT_A, Phase.CANCELLED, AT_A, Phase.CANCELLED),
    },
    Phase.SWITCHED_OVER: {
        "kill source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "kill destination": (NOWHERE, Phase.SWITCHED_OVER, NOWHERE, Phase.CONFIRMED),
        "crash source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "crash destination": (NOWHERE, Phase.SWITCHED_OVER, NOWHERE, Phase.CONFIRMED),
        "cancel": REFUSED,
    },
    Phase.POSTCOPY: {
        "kill source": (AT_B, Phase.POSTCOPY_FAILED, AT_B, Phase.POSTCOPY_FAILED),
        "kill destination": (NOWHERE, Phase.POSTCOPY_FAILED, NOWHERE, Phase.POSTCOPY_FAILED),
        "crash source": (AT_B, Phase.POSTCOPY_FAILED, AT_B, Phase.POSTCOPY_FAILED),
        "crash destination": (NOWHERE, Phase.POSTCOPY_FAILED, NOWHERE, Phase.POSTCOPY_FAILED),
        "cancel": REFUSED,
    },
    Phase.CONFIRMED: {
        "kill source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "kill destination": (NOWHERE, Phase.CONFIRMED, NOWHERE, Phase.CONFIRMED),
        "crash source": (AT_B, Phase.CONFIRMED, AT_B, Phase.CONFIRMED),
        "crash destination": (NOWHERE, Phase.CONFIRMED, NOWHERE, Phase.CONFIRMED),
        "cancel": REFUSED,
    },
}


def test_the_table_has_every_phase_and_every_fault() -> None:
    assert set(TABLE) == set(WORDS)
    assert {tuple(row) for row in TABLE.values()} == {tuple(FAULTS)}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("phase", TABLE)
def test_every_phase_with_every_fault(phase: Phase, fault: str) -> None:
    world, migration = at_phase(phase)
    life = world.writers()[0].life
    expected = TABLE[phase][fault]
    if expected is REFUSED:
        with pytest.raises(WorldRefusal, match="too late"):
            FAULTS[fault](world, migration)
        return
    FAULTS[fault](world, migration)
    directly = (holds(world), migration.phase)
    finally_ = (finish(migration), holds(world))
    assert (*directly, finally_[1], finally_[0]) == expected
    assert {writer.life for writer in world.writers()} <= {life}
    assert world.migrations == ()
