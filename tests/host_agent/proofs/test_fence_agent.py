"""A real agent's program is asked for a host's power, and with leave told to switch it off."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fencebus_host.host_death import Fate
from fencebus_host.proofs import fence_agent
from fencebus_host.proofs.attempts import FILE_NAME, Attempts
from fencebus_host.proofs.fence_agent import Acting, FenceAgentWitness, HostAgent
from fencebus_host.proofs.restraint import Company, Limits
from fencebus_schemas.model import HostId
from tests.host_agent.proofs.questions import B, asked_of, power_switch, question, turn

BOTH = Company(1, 2)


def witness(folder: Path, acting: Acting | None = None) -> FenceAgentWitness:
    agent = HostAgent(power_switch(folder), (("password", "hidden-word"),), "7")
    return FenceAgentWitness({B: agent}, acting)


def acting(folder: Path, *, silent: bool = True, company: Company = BOTH) -> Acting:
    return Acting(Limits(), Attempts(folder, "boot"), lambda: company, lambda _host: silent)


async def test_a_status_of_off_proves_it(tmp_path: Path) -> None:
    asked = witness(tmp_path)
    assert (await asked.ask(question())).fate is Fate.POWERED
    turn(tmp_path, "OFF")
    found = await asked.ask(question())
    assert (found.fate, found.text) == (Fate.OFF, "fence_lights says that b is off")
    assert asked_of(tmp_path) == ["status", "status"]


async def test_by_default_it_looks_and_never_acts(tmp_path: Path) -> None:
    found = await witness(tmp_path).ask(question(may_act=True))
    assert "switched on" in found.text
    assert asked_of(tmp_path) == ["status"]


async def test_with_leave_it_switches_off_once_and_asks_again(tmp_path: Path) -> None:
    asked = witness(tmp_path, acting(tmp_path))
    assert (await asked.ask(question())).fate is Fate.POWERED
    assert asked_of(tmp_path) == ["status"]
    found = await asked.ask(question(may_act=True))
    assert found.fate is Fate.OFF
    assert asked_of(tmp_path)[1:] == ["status", "off", "status"]
    turn(tmp_path, "ON")
    refused = await asked.ask(question(may_act=True))
    assert refused.fate is Fate.POWERED
    assert "not again within 600 s" in refused.text
    assert asked_of(tmp_path).count("off") == 1


async def test_a_storm_of_questions_switches_it_off_once(tmp_path: Path) -> None:
    asked = witness(tmp_path, acting(tmp_path))
    found = await asyncio.gather(*(asked.ask(question(may_act=True)) for _ in range(12)))
    assert {each.fate for each in found} == {Fate.OFF}
    assert asked_of(tmp_path).count("off") == 1


@pytest.mark.parametrize("circumstance", ("heard again", "cut off", "no disk"))
async def test_restraint_is_asked_directly_before_the_act(tmp_path: Path, circumstance: str) -> None:
    folder = tmp_path / "nowhere" if circumstance == "no disk" else tmp_path
    company = Company(1, 3) if circumstance == "cut off" else BOTH
    asked = witness(tmp_path, acting(folder, silent=circumstance != "heard again", company=company))
    found = await asked.ask(question(may_act=True))
    assert found.fate is Fate.POWERED
    assert "off" not in asked_of(tmp_path)


async def test_an_agent_that_does_not_answer_in_time_proves_nothing(tmp_path: Path) -> None:
    asked = witness(tmp_path)
    (tmp_path / "fence_lights").write_text("#!/bin/sh\nexec sleep 60\n")
    found = await asked.ask(question(seconds=0.3))
    assert (found.fate, found.cut_off) == (Fate.UNKNOWN, True)
    late = await asked.ask(question(seconds=-1.0))
    assert (late.fate, late.cut_off) == (Fate.UNKNOWN, True)


async def test_an_agent_that_is_not_there_or_speaks_of_its_password_is_told_of_without_it(tmp_path: Path) -> None:
    asked = witness(tmp_path)
    (tmp_path / "fence_lights").write_text("#!/bin/sh\necho 'bad password hidden-word' >&2\nexit 1\n")
    found = await asked.ask(question())
    assert "bad password ***" in found.text
    (tmp_path / "fence_lights").unlink()
    assert "cannot be run" in (await asked.ask(question())).text
    assert (await asked.ask(question(HostId("c")))).text == ""


async def test_who_cannot_become_the_agents_user_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = "fence_virtd lacks CAP_SETUID"
    monkeypatch.setattr(fence_agent, "why_cannot_run_as", lambda _account: lacking)
    assert lacking in (await witness(tmp_path).ask(question())).text
    assert asked_of(tmp_path) == []


def test_what_was_tried_is_remembered_over_a_restart_and_a_boot(tmp_path: Path) -> None:
    Attempts(tmp_path, "boot").note(B, 50.0)
    assert Attempts(tmp_path, "boot").last == {B: 50.0}
    assert Attempts(tmp_path, "next boot").last == {B: 0.0}
    (tmp_path / FILE_NAME).write_text("not what was written")
    assert Attempts(tmp_path, "boot").last == {HostId("*"): 0.0}
    assert Attempts(tmp_path / "empty", "boot").last == {}
