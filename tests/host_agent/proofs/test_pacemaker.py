"""The shell around crm_mon, with a program that prints what a test wants."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fencebus_host.host_death import Fate
from fencebus_host.proofs.pacemaker import PacemakerWitness
from tests.host_agent.proofs.crm import OFF, REBOOT, printed
from tests.host_agent.proofs.questions import question
from tests.hypervisors import eventually


def crm_mon(folder: Path) -> Path:
    """Prints ``folder/view``; fails where there is none."""
    program = folder / "crm_mon"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\nexec cat {folder}/view\n')
    program.chmod(0o755)
    return program


async def test_each_question_is_answered_by_a_look_of_its_own(tmp_path: Path) -> None:
    witness = PacemakerWitness(crm_mon(tmp_path))
    (tmp_path / "view").write_text(printed(b="online"))
    assert (await witness.ask(question())).fate is Fate.ALIVE
    (tmp_path / "view").write_text(printed(REBOOT))
    asked = question()
    found = await witness.ask(asked)
    assert found.fate is Fate.FENCED
    assert found.not_before is not None
    assert found.not_before < asked.asked_at
    assert len((tmp_path / "asked").read_text().splitlines()) == 2
    assert (await witness.ask(asked)).fate is Fate.FENCED  # asked before the last look began
    assert len((tmp_path / "asked").read_text().splitlines()) == 2


async def test_where_there_is_no_cluster_no_question_waits_for_it(tmp_path: Path) -> None:
    witness = PacemakerWitness(crm_mon(tmp_path))
    assert (await witness.ask(question())).fate is Fate.UNKNOWN
    assert (await witness.ask(question())).fate is Fate.UNKNOWN
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


async def test_a_look_that_is_not_over_in_time_is_told_as_that_and_a_crm_mon_that_fails_in_its_own_words(
    tmp_path: Path,
) -> None:
    witness = PacemakerWitness(crm_mon(tmp_path))
    (tmp_path / "view").write_text(printed(b="online"))
    assert (await witness.ask(question())).fate is Fate.ALIVE
    (tmp_path / "view").unlink()
    failed = await witness.ask(question())
    assert (failed.fate, failed.cut_off) == (Fate.UNKNOWN, False)
    assert failed.text.startswith("pacemaker has said nothing about b: crm_mon: exit status 1: ")
    os.mkfifo(tmp_path / "view")
    late = await witness.ask(question(seconds=0.2))
    expected = "pacemaker has said nothing about b: the look was not over at the deadline"
    assert (late.fate, late.text, late.cut_off) == (Fate.UNKNOWN, expected, True)


async def test_it_looks_although_nobody_asks(tmp_path: Path) -> None:
    (tmp_path / "view").write_text(printed(b="online"))
    witness = PacemakerWitness(crm_mon(tmp_path))
    before = question()
    running = asyncio.create_task(witness.run())
    try:
        await eventually((tmp_path / "asked").exists)
        assert (await witness.ask(before)).fate is Fate.ALIVE  # by the look that nobody has asked for
        assert len((tmp_path / "asked").read_text().splitlines()) == 1
        (tmp_path / "view").write_text(printed(OFF))
        assert (await witness.ask(question())).fate is Fate.OFF
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_without_the_program_nothing_is_known(tmp_path: Path) -> None:
    found = await PacemakerWitness(tmp_path / "crm_mon").ask(question())
    assert (found.fate, found.text) == (Fate.UNKNOWN, "")
