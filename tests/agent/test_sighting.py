"""What is said to other hosts of each thing that a glance can find."""

from __future__ import annotations

import pytest

from fencebus_agent.death import Job, Power
from fencebus_agent.libvirt_driver.marking import mark_in, unmarked
from fencebus_agent.libvirt_driver.sighting import Glance, Remembrance, sight
from fencebus_agent.lives import NO_LIVES, PastLives
from fencebus_schemas.model import Life, Uuid, VmState

VM = Uuid("00000000-0000-0000-0000-000000000001")
PROCESS = Life("7:9", 100.0)
KNOWN = Remembrance(known=True, past=NO_LIVES)
MARKED = Remembrance(known=True, past=NO_LIVES, mark="m")
METADATA = (
    "<domain xmlns:q='urn:q'><name>vm</name><metadata><f:life xmlns:f='urn:fencebus:life:1' id='m'/>"
    "<o:other xmlns:o='urn:other'/></metadata><q:commandline/></domain>"
)


@pytest.mark.parametrize(
    ("power", "job", "state", "in_flight"),
    (
        (Power.RUNNING, Job.NONE, VmState.RUNNING, False),
        (Power.RUNNING, Job.STAYS, VmState.RUNNING, False),
        (Power.RUNNING, Job.MIGRATION, VmState.RUNNING, True),
        (Power.RUNNING, Job.UNSEEN, VmState.RUNNING, True),
        (Power.PAUSED, Job.NONE, VmState.PAUSED, False),
        (Power.PAUSED, Job.STAYS, VmState.PAUSED, False),
        (Power.OUTGOING, Job.MIGRATION, VmState.PAUSED, True),
        (Power.INCOMING, Job.UNSEEN, VmState.INCOMING, True),
        (Power.UNSETTLED, Job.NONE, VmState.RUNNING, True),
        (Power.ENDING, Job.NONE, VmState.RUNNING, False),
    ),
)
def test_s14_what_is_on_is_a_claim_and_in_flight_unless_it_plainly_is_here(
    power: Power, job: Job, state: VmState, in_flight: bool
) -> None:
    seen = sight(VM, Glance(power, job, "m", 3, PROCESS), MARKED)
    assert (seen.state, seen.in_flight, seen.life) == (state, in_flight, Life("m", 100.0))
    assert seen.state.is_claim
    assert bool(seen.detail) == in_flight


@pytest.mark.parametrize("power", (Power.OFF, Power.GONE, Power.LEFT))
def test_what_rests_is_denied_with_what_left_and_what_ended(power: Power) -> None:
    memory = Remembrance(known=True, past=PastLives(("e",), ("l",)))
    seen = sight(VM, Glance(power), memory)
    assert (seen.state, seen.denies, seen.life) == (VmState.OFF, True, None)
    assert (seen.ended, seen.left) == (("e",), ("l",))


def test_a_vm_that_libvirt_and_the_driver_have_never_had_is_not_known() -> None:
    stranger = Remembrance(known=False, past=NO_LIVES)
    assert not sight(VM, Glance(Power.GONE), stranger).known
    assert sight(VM, Glance(Power.OFF), stranger).known
    assert sight(VM, Glance(Power.GONE, left_over=1), stranger).known


@pytest.mark.parametrize("power", (Power.OFF, Power.GONE, Power.LEFT, Power.SAVED))
def test_a_process_that_libvirt_has_given_up_is_a_claim(power: Power) -> None:
    seen = sight(VM, Glance(power, left_over=1), KNOWN)
    assert (seen.state, seen.life) == (VmState.RUNNING, None)
    assert "alive" in seen.detail


@pytest.mark.parametrize(
    ("glance", "memory", "in_flight"),
    (
        (Glance(Power.OFF, hidden=True), KNOWN, False),
        (Glance(Power.OFF), Remembrance(known=True, past=NO_LIVES, lingering="an NBD server may write"), False),
        (Glance(Power.OFF), Remembrance(known=True, past=NO_LIVES, starting=True), True),
    ),
    ids=("hidden processes", "a disk that is still written", "a start under way"),
)
def test_s2_what_cannot_be_said_is_unknown_and_says_why(glance: Glance, memory: Remembrance, in_flight: bool) -> None:
    seen = sight(VM, glance, memory)
    assert (seen.state, seen.in_flight, seen.denies) == (VmState.UNKNOWN, in_flight, False)
    assert seen.detail


@pytest.mark.parametrize(("memory", "mark"), ((MARKED, "m"), (KNOWN, f"saved:{VM}")))
def test_a_saved_life_is_a_life(memory: Remembrance, mark: str) -> None:
    seen = sight(VM, Glance(Power.SAVED), memory)
    assert (seen.state, seen.life, seen.denies) == (VmState.SAVED, Life(mark), False)


def test_where_no_process_tells_the_hypervisors_number_does() -> None:
    memory = Remembrance(known=True, past=NO_LIVES, began=5.0)
    assert sight(VM, Glance(Power.RUNNING, run=3), memory).life == Life("id 3", 5.0)


def test_a_definition_loses_its_mark_and_nothing_else() -> None:
    bare = unmarked(METADATA)
    assert (mark_in(METADATA), mark_in(bare)) == ("m", "")
    assert "urn:other" in bare
    assert "commandline" in bare
    assert unmarked(bare) == bare
    assert mark_in("<domain/>") == ""
