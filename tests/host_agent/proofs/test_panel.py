"""Whose word counts, and who may act."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fencebus_host.host_death import Fate, Finding, Witness
from fencebus_host.proofs.operator import OperatorWitness
from fencebus_host.proofs.panel import Panel, weigh
from fencebus_schemas.model import HostId, Incarnation
from fencebus_schemas.peer import Confirmed
from tests.host_agent.proofs.questions import DIED, B, Says, question

ALIVE = Finding(Witness.PACEMAKER, Fate.ALIVE, "online")
OFF = Finding(Witness.OPERATOR, Fate.OFF, "somebody says so")
FENCED = Finding(Witness.PACEMAKER, Fate.FENCED, "rebooted", 1.0, 2.0)
NOBODY_KNOWS = Finding(Witness.FENCE_AGENT, Fate.UNKNOWN, "no answer")

POWERED = Finding(Witness.FENCE_AGENT, Fate.POWERED, "fence_lights says that b is switched on")


def test_who_sees_it_alive_outweighs_all_and_off_outweighs_fenced() -> None:
    assert weigh((OFF, ALIVE, FENCED), B) == ALIVE
    assert weigh((FENCED, NOBODY_KNOWS, OFF), B) == OFF
    assert weigh((NOBODY_KNOWS, FENCED), B) == FENCED
    doubts = weigh((NOBODY_KNOWS, Finding(Witness.OPERATOR, Fate.UNKNOWN, "confirm it")), B)
    assert (doubts.fate, doubts.text, doubts.cut_off) == (Fate.UNKNOWN, "no answer; confirm it", False)
    assert weigh((NOBODY_KNOWS, replace(NOBODY_KNOWS, cut_off=True)), B).cut_off
    assert weigh((), B).fate is Fate.UNKNOWN


def test_s13_what_a_history_calls_off_and_has_power_now_was_switched_on_again() -> None:
    off = Finding(Witness.PACEMAKER, Fate.OFF, "pacemaker switched b off", 1.0, 2.0)
    found = weigh((off, POWERED), B)
    assert (found.fate, found.text) == (Fate.ALIVE, f"{off.text}, but {POWERED.text}")
    assert weigh((POWERED, off), B) == found
    assert weigh((off, NOBODY_KNOWS), B) == off
    assert weigh((FENCED, POWERED), B) == FENCED  # after a reboot it is on again
    assert weigh((POWERED, OFF), B) == OFF  # an operator has vouched for it, power or not
    assert weigh((off, POWERED, OFF), B).fate is Fate.OFF
    assert weigh((POWERED, NOBODY_KNOWS), B).text == f"{POWERED.text}; no answer"


async def test_s13_who_was_switched_on_again_is_not_shot_for_that() -> None:
    witness = Says(POWERED)
    off = Says(Finding(Witness.PACEMAKER, Fate.OFF, "pacemaker switched b off", 1.0, 2.0))
    assert (await Panel([off, witness]).ask(question(may_act=True))).fate is Fate.ALIVE
    assert [each.may_act for each in witness.asked] == [False]


@pytest.mark.parametrize(
    ("seen", "acts"), ((OFF, False), (ALIVE, False), (FENCED, True), (NOBODY_KNOWS, True), (POWERED, True))
)
async def test_nobody_acts_where_looking_is_enough(seen: Finding, acts: bool) -> None:
    witness = Says(seen)
    assert await Panel([witness]).ask(question(may_act=True)) == seen
    assert [each.may_act for each in witness.asked] == ([False, True] if acts else [False])
    assert await Panel([witness]).ask(question()) == seen
    assert not witness.asked[-1].may_act


async def test_a_defect_in_one_witness_takes_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    found = await Panel([Says(ValueError("a defect")), Says(OFF)]).ask(question())
    assert found == OFF
    assert "defect in a witness of b" in caplog.text


async def test_its_witnesses_run_as_long_as_it_does() -> None:
    running = asyncio.create_task(Panel([Says(OFF), OperatorWitness(lambda _host: None)]).run())
    await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_operators_word_counts_for_the_incarnation_of_which_it_was_given() -> None:
    words = {B: Confirmed(B, 1, DIED, "root", "noon")}
    witness = OperatorWitness(words.get)
    found = await witness.ask(question())
    assert (found.by, found.fate, found.text) == (Witness.OPERATOR, Fate.OFF, "root confirmed at noon that b is dead")
    words[B] = Confirmed(B, 2, Incarnation("boot", "machine", "2"), "root", "noon")
    assert (await witness.ask(question())).fate is Fate.UNKNOWN
    nobody = await witness.ask(question(HostId("c")))
    assert nobody.fate is Fate.UNKNOWN
    assert "host confirm-dead c" in nobody.text
