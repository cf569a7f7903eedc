"""The table of clauses by faults: who speaks is heard, at the real functions, which are left as they were."""

from __future__ import annotations

from fencebus_host import denial, verdict
from fencebus_host.federation.rounds import Rounds
from tests.sim.__main__ import empty_cells, fillers, table
from tests.sim.generating import Mode
from tests.sim.happening import FAULTS, Kind
from tests.sim.mutations import MUTATIONS
from tests.sim.running import Batch, Tally, run_batch
from tests.sim.test_simulation import unmeasured
from tests.sim.witness import CLAUSES, POSTS, listening


def test_who_speaks_is_heard_and_every_function_is_left_as_it_was() -> None:
    before = (denial.RULES, verdict.FEDERATED_OFF_RULES, Rounds.heard, denial.s2_every_member_denies)
    with unmeasured():
        tally = run_batch(Batch(range(8), Mode.DENSE))
    assert before == (denial.RULES, verdict.FEDERATED_OFF_RULES, Rounds.heard, denial.s2_every_member_denies)
    heard = {clause for _, clause in tally.spoke}
    assert {"S2 every member denies", "S14 what happens breaks a guard"} <= heard <= set(CLAUSES)


def test_each_run_is_heard_for_itself() -> None:
    with listening() as witness:
        denial.s2_members_are_known(denial.Inquiry((), synced=False))
        assert witness.take() == {"S2 the members are known"}
        assert witness.take() == set()


def test_a_clause_is_heard_in_the_world_that_was_made_for_it_under_a_fault_that_is_wanted() -> None:
    batch = Batch(range(10), Mode.DENSE, Kind.FULL_DISK, "S4 what is not on the disk is a failure")
    assert all(Kind.FULL_DISK in plan.faults for plan in batch.plans())
    with unmeasured():
        assert run_batch(batch).spoke[Kind.FULL_DISK, batch.clause]


def test_the_table_has_a_row_for_each_clause_and_a_cell_for_each_fault() -> None:
    tally = Tally()
    assert len(empty_cells(tally)) == len(fillers(tally, 0)) == len(FAULTS) * len(CLAUSES)
    tally.spoke[Kind.WIPE, CLAUSES[0]] = 7
    rows = [line for line in table(tally).splitlines() if line.startswith(CLAUSES)]
    assert [row.split()[-len(FAULTS) :].count("7") for row in rows] == [1] + [0] * (len(CLAUSES) - 1)


def test_every_clause_that_can_be_switched_off_is_listened_to() -> None:
    assert {str(each) for each in MUTATIONS} <= {post.clause for post in POSTS}
