"""What the daemon must hold to run agents as another user, in a process that lacks it and in the service's unit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host.routers.fence_agent.process import Account
from fencebus_host.routers.fence_agent.rights import why_cannot_run_as
from tests.components import CHECKOUT, require_program, require_root
from tests.host_agent.routers.fence_agent.agents import WrittenAgent
from tests.package.test_service_unit import UNIT, WORST_EXPOSURE, exposure

DROP_IN = CHECKOUT / "packaging" / "systemd" / "fence-agents.conf"
NOBODY = Account(65534, 65534)
ASKING = """
import asyncio, sys
from pathlib import Path
from fencebus_host.config.fence_agent_settings import AgentSettings
from fencebus_host.routers.fence_agent.agent import Agent
from fencebus_host.routers.fence_agent.process import Account
from fencebus_schemas.deadline import Deadline
folder = Path(sys.argv[1])
agent = Agent(AgentSettings(name="it", agent="fence_written", agent_dir=folder), Account(65534, 65534))
asyncio.run(agent.metadata(Deadline.after(30)))
"""


def status(folder: Path, effective: str) -> Path:
    path = folder / "status"
    path.write_text(f"Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t{effective}\n")
    return path


def test_who_we_are_ourselves_needs_nothing(tmp_path: Path) -> None:
    require_root()
    none = status(tmp_path, "0000000000000000")
    assert why_cannot_run_as(None, none) == ""
    assert why_cannot_run_as(Account(0, 0), none) == ""


@pytest.mark.parametrize(
    ("effective", "missing"),
    (
        ("00000000000000e0", ""),
        ("000001ffffffffff", ""),
        ("00000000000000c0", "CAP_KILL"),
        ("0000000000000020", "CAP_SETGID, CAP_SETUID"),
    ),
)
def test_another_user_needs_three_capabilities(tmp_path: Path, effective: str, missing: str) -> None:
    require_root()
    found = why_cannot_run_as(NOBODY, status(tmp_path, effective))
    assert found.startswith(f"fence_virtd lacks {missing} (") if missing else found == ""


def test_a_daemon_that_could_not_end_an_agent_does_not_start_it(tmp_path: Path) -> None:
    require_root()
    setpriv = require_program("setpriv", package="util-linux")
    agent = WrittenAgent(tmp_path)
    command = [str(setpriv), "--bounding-set=-kill", sys.executable, "-c", ASKING, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert run.returncode != 0
    assert "fence_virtd lacks CAP_KILL" in run.stderr
    assert agent.told == []


def test_the_drop_in_gives_the_unit_what_is_needed_and_keeps_it_hardened(tmp_path: Path) -> None:
    daemon = tmp_path / "fence_virtd"
    daemon.write_text("#!/bin/sh\n")
    daemon.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/sbin/fence_virtd", str(daemon)) + DROP_IN.read_text())
    assert exposure(unit) <= WORST_EXPOSURE
    given = re.findall(r"^CapabilityBoundingSet=(.*)$", DROP_IN.read_text(), re.MULTILINE)
    assert given == ["CAP_SETUID CAP_SETGID CAP_KILL"]
