"""From the configuration to witnesses that know the federation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.host_death import Fate
from fencebus_host.ownership import Ownership
from fencebus_host.proofs import build
from fencebus_host.proofs.build import build_panel
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import EVERYONE, Announce
from tests.host_agent.federation.words import ME, MINE
from tests.host_agent.proofs.questions import DIED, B, asked_of, power_switch, question

SILENT_FOR = 100.0


def known(heard_at: float) -> Ownership:
    """The other host was heard once."""
    made = Ownership(ME, MINE, frozenset((ME, B)))
    made.announce_heard(Announce(B, DIED, EVERYONE, 1, "", "", "token"), heard_at)
    return made


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file in which the other host has a fence agent."""
    monkeypatch.setattr(build, "CRM_MON", tmp_path / "no-cluster-here")
    power_switch(tmp_path)
    user = 'user = "root";' if os.geteuid() == 0 else ""
    agent = f'agent = "fence_lights"; agent_dir = "{tmp_path}"; {user}'
    daemon = f'listener = "serial"; host = "{ME}"; state_dir = "{tmp_path}"; DAEMON'
    return f'fence_virtd {{ {daemon} }} hosts {{ host {{ name = "{ME}"; }} host {{ name = "b"; {agent} }} }}'


async def test_without_leave_a_silent_host_is_looked_at(text: str, tmp_path: Path) -> None:
    config = load_text(text.replace("DAEMON", ""), "the test's")
    found = await build_panel(config, "boot", lambda: known(0.0)).ask(question(may_act=True))
    assert found.fate is Fate.UNKNOWN
    assert "fence_lights says that b is switched on" in found.text
    assert "host confirm-dead b" in found.text
    assert "off" not in asked_of(tmp_path)


async def test_with_leave_a_silent_host_is_switched_off_and_one_that_is_heard_is_not(text: str, tmp_path: Path) -> None:
    config = load_text(text.replace("DAEMON", 'host_fencing = "act";'), "the test's")
    asked = question(may_act=True)
    heard = await build_panel(config, "boot", lambda: known(asked.asked_at)).ask(asked)
    assert "heard again" in heard.text
    panel = build_panel(config, "boot", lambda: known(asked.asked_at - SILENT_FOR))
    assert (await panel.ask(asked)).fate is Fate.OFF
    assert asked_of(tmp_path).count("off") == 1


async def test_an_operators_word_is_looked_up_when_it_is_asked_for(text: str) -> None:
    ownership = known(0.0)
    panel = build_panel(load_text(text.replace("DAEMON", ""), "the test's"), "boot", lambda: ownership)
    ownership.confirm_dead(B, "ann", "noon")
    assert (await panel.ask(question())).fate is Fate.OFF
    assert (await panel.ask(question(HostId("c")))).fate is Fate.UNKNOWN


def test_a_cluster_is_asked_where_its_program_is(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_text(text.replace("DAEMON", ""), "the test's")
    before = len(build_panel(config, "boot", lambda: known(0.0))._witnesses)
    monkeypatch.setattr(build, "CRM_MON", tmp_path)
    assert len(build_panel(config, "boot", lambda: known(0.0))._witnesses) == before + 1
