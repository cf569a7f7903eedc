"""A host that is dead, and another that says that it has what the dead one had: who lives knows better (S3, S13)."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host import verdict
from fencebus_host.effects import AskProof, Effects, Kill
from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_schemas.model import Life, Reason, VmRecord, VmState
from fencebus_schemas.peer import Inventory
from tests.host_agent.federation.courses import A, B, Table, incarnation, killed
from tests.host_agent.federation.words import ME, OFF, RUNNING, VM

IS_OFF = Finding(Witness.FENCE_AGENT, Fate.OFF, "its fence agent says that a is off")
COPY = replace(RUNNING, life=Life("copy", 1.0))


class DeadlyTable(Table):
    """As the table; whose death is asked after is kept."""

    def __init__(self) -> None:
        self.questions: list[AskProof] = []
        super().__init__()
        had = VmRecord(VM, "vm7", VmState.RUNNING, A, incarnation(A), life="life")
        self.hear(Inventory(A, incarnation(A), ME, 2, "", (had,), (ME, A, B), ()))

    def do(self, effects: Effects) -> None:
        """As the table's."""
        self.questions += [effect for effect in effects if isinstance(effect, AskProof)]
        super().do(effects)

    def a_is_dead(self) -> None:
        """Whenever somebody asks."""
        for question in self.questions:
            if question.host == A:
                self.do(self.machine.proof_seen(question, IS_OFF, self.now))
        self.questions.clear()

    def my_copy_is_killed(self) -> None:
        """The order to this host is carried out."""
        (kill,) = self.acts
        assert isinstance(kill, Kill)
        assert self.machine.permit(kill.job, COPY.life, self.now) is None
        self.mine = OFF
        self.do(self.machine.acted(kill.job, killed(ME, "copy"), self.now))


def test_s3_the_life_that_a_dead_host_had_is_a_claim_of_the_living_host_that_says_that_it_has_it() -> None:
    table = DeadlyTable()
    table.mine = COPY
    table.says(B, RUNNING)
    table.wait(0.6)
    table.my_copy_is_killed()
    for _ in range(30):  # in which the host that has it is slow to say so again
        table.a_is_dead()
        table.wait(0.1)
    assert not table.over
    table.wait(20.0)
    outcome = verdict.decide_off(table.request, table.evidence[0])
    assert (outcome.ok, outcome.reason) == (False, Reason.STILL_CLAIMED)


def test_s13_what_a_host_has_handed_to_the_dead_one_and_denies_since_ended_there() -> None:
    table = DeadlyTable()
    table.says(B, RUNNING)
    for _ in range(60):
        table.says(B, replace(OFF, left=("life",)))
        table.a_is_dead()
        table.wait(0.1)
    assert table.over
    assert verdict.decide_off(table.request, table.evidence[0]).ok


def test_who_has_just_spoken_is_not_called_silent_when_the_last_round_had_no_time() -> None:
    table = Table(state=VmState.OFF)
    left = replace(OFF, left=("life",))
    while table.now < table.request.deadline.at - 0.3:
        for host in (A, B):
            table.says(host, left)
        table.wait(0.1)
    table.says(A, left, serial="anew")  # its lease has ended before the deadline
    table.wait(0.5)
    outcome = verdict.decide_off(table.request, table.evidence[0])
    assert (outcome.ok, outcome.reason) == (False, Reason.NOT_PROVEN)
    assert "nobody saw it end" in outcome.text
