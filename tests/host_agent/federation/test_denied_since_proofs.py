"""S13: a proof tells of one moment, so that whoever lives denies the VM once more, asked after the last proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_host import denial
from fencebus_host.denial import Inquiry, Word
from fencebus_host.effects import AskProof, Effects, Send
from fencebus_host.federation.rounds import DEAD, Rounds
from fencebus_host.host_death import Deposition
from fencebus_schemas.model import HostId, Life, Reason, Sight, VmState
from fencebus_schemas.peer import Guard
from tests.host_agent.federation.test_proving import DIED, IS_OFF, LOST, UNKNOWN, Site
from tests.host_agent.federation.words import ME, MINE, OFF, VM, answer

HERE = Sight(VM, VmState.RUNNING, life=Life("mark"))
OTHER = HostId("other")


def guards(effects: Effects) -> list[HostId]:
    """To whom new ones go out."""
    return [each.message.to for each in effects if isinstance(each, Send) and isinstance(each.message, Guard)]


def proven(site: Site, question: AskProof) -> list[HostId]:
    """Who is asked anew because of that answer; what follows from it is done, too."""
    effects = site.machine.proof_seen(question, IS_OFF, site.now)
    site.do(effects)
    return guards(effects)


# -- the rule ----------


def inquiry(*second: Word) -> Inquiry:
    return Inquiry((ME, OTHER, LOST), second=second)


def denied(host: HostId, at: float) -> Word:
    return Word(host, MINE, "s", OFF, at=at)


def dead(host: HostId, at: float) -> Word:
    return Word(host, DIED, DEAD, OFF, Deposition(host, DIED, 1.0, IS_OFF), at)


@pytest.mark.parametrize(
    ("words", "late"),
    (
        ((denied(ME, 1.0), denied(OTHER, 1.0)), None),
        ((denied(ME, 5.0), denied(OTHER, 6.0), dead(LOST, 5.0)), None),
        ((denied(ME, 5.0), denied(OTHER, 4.9), dead(LOST, 5.0)), OTHER),
        ((denied(ME, 5.5), dead(OTHER, 6.0), dead(LOST, 5.0)), ME),
        ((denied(ME, 6.0), dead(OTHER, 6.0), dead(LOST, 5.0)), None),
        ((dead(OTHER, 6.0), dead(LOST, 5.0)), None),
        ((denied(ME, -1.0), denied(OTHER, 0.0), dead(LOST, 0.0)), ME),
    ),
)
def test_the_word_of_who_lives_was_asked_for_no_sooner_than_the_last_proof_came(
    words: tuple[Word, ...], late: HostId | None
) -> None:
    lack = denial.s13_denied_since_the_proofs(inquiry(*words))
    assert (lack is None) is (late is None)
    if lack is not None:
        assert lack.reason is Reason.NOT_PROVEN
        assert lack.text == f"{late} has not denied it since another host was found dead"


def test_a_word_is_as_old_as_its_question_and_a_proof_as_its_answer() -> None:
    rounds = Rounds()
    rounds.heard(replace(answer(OTHER, OFF), stamp=7.5), 9.0)
    word = rounds.word(OTHER)
    assert word is not None
    assert word.at == 7.5
    site = Site()
    (course,) = site.machine._courses.values()
    assert course._proving.word(Deposition(LOST, DIED, 100.0, IS_OFF), 103.0).at == 103.0


# -- the course ----------


def test_what_the_dead_host_has_handed_on_to_who_had_denied_already_is_found() -> None:
    site = Site()
    site.answer(IS_OFF)
    site.wait(0.2)
    site.mine = HERE  # it was up again between its two deaths, and has handed the life on
    site.answer(IS_OFF)
    assert site.outcome is None
    assert not site.ended().ok


def test_all_are_asked_anew_at_once_when_the_proof_of_the_second_round_comes_and_not_for_less() -> None:
    site = Site()
    assert guards(site.machine.proof_seen(site.questions[0], UNKNOWN, site.now)) == []
    site.wait(0.5)
    first = site.questions[-1]
    assert first.round == 1
    assert proven(site, first) == [LOST]  # the second round begins
    assert guards(site.machine.proof_seen(site.questions[-1], UNKNOWN, site.now)) == []
    site.wait(0.6)
    assert site.questions[-1].round == 2
    assert LOST in proven(site, site.questions[-1])
    assert site.outcome is not None
    assert site.outcome.ok


def test_a_life_here_that_cannot_be_looked_at_after_the_proof_keeps_the_vm_from_being_off() -> None:
    site = Site()
    site.answer(IS_OFF)
    site.wait(0.1)
    site.mine = replace(OFF, state=VmState.UNKNOWN)
    site.answer(IS_OFF)
    assert site.outcome is None
    site.mine = OFF
    site.answer_all(IS_OFF)
    assert site.outcome is not None
    assert site.outcome.ok
