"""What was ended here is told at once, of its own hypervisor alone; what was not is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host.effects import Kill
from fencebus_host.federation.member import Refusal
from fencebus_schemas.model import Observation, Reason, VmState
from fencebus_schemas.peer import Change
from tests.host_agent.federation.courses import Table, killed
from tests.host_agent.federation.words import ME, MINE, TWO, VM, fence, quote

ENDED = replace(killed(ME), incarnation=MINE, hypervisor="one")


def told(result: Observation | Refusal) -> list[tuple[str, str, VmState]]:
    """What all hear of the VM, which two hypervisors of this host have, and another host."""
    table = Table()
    record = replace(table.ownership.claimants(VM)[0], host=ME, incarnation=MINE)
    for hypervisor in ("one", "two"):
        table.do(table.machine.vm_changed(replace(record, hypervisor=hypervisor), False, table.now))
    table.hear(fence(quote(table.machine._tokens.fresh(table.now)), TWO))
    (kill,) = table.acts
    assert isinstance(kill, Kill)
    table.out.clear()
    table.do(table.machine.acted(kill.job, result, table.now))
    return [(each.record.host, each.record.hypervisor, each.record.state) for each in table.sent(Change)]


def test_a_plain_end_here_is_told_of_the_hypervisor_that_had_it() -> None:
    assert told(ENDED) == [(ME, "one", VmState.OFF)]


@pytest.mark.parametrize(
    "result",
    (Refusal(Reason.DEADLINE), replace(ENDED, state=VmState.UNKNOWN, ended=None), replace(ENDED, ended=None)),
)
def test_what_was_not_ended_here_is_not_told(result: Observation | Refusal) -> None:
    assert told(result) == []
