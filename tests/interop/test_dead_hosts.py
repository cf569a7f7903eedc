"""A host dies: two daemons on a real RabbitMQ, a fence agent that says what its power is, and an operator's word (S13).

The libvirt of the second host lives and dies with its daemon, so that killing the daemon is the death of the VMs, too.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host_agent.proofs.questions import asked_of, power_switch, turn
from tests.interop.bus_site import DONE, FAILED, STATUS_ON, BusHost, BusSite
from tests.rabbitmq import RabbitMq

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(240)]

NAMES = ("host1", "host2")
VMS = {f"node2{number}": f"52:54:00:00:02:0{number}" for number in range(1, 7)}
MAC = "52:54:00:00:00:01"


@dataclass
class Two:
    """The host that lives, the one that will die, and the power switch of that."""

    lives: BusHost
    dies: BusHost
    switch: Path

    def host(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """`fence_virtctl host ...` on the living host."""
        argv = [sys.executable, "-m", "fencebus_host.ctl", "host", *arguments, "-f", str(self.lives.daemon.config_file)]
        return subprocess.run(argv, input=f"{typed}\n", capture_output=True, text=True, timeout=60)

    def wait_silent(self) -> None:
        """Return once the living host has missed the other's heartbeats."""
        silent = re.compile(r"^host2 +silent", re.MULTILINE)
        self.lives.daemon.process.wait_until(
            lambda: bool(silent.search(self.host("list").stdout)), timeout=60, what="missing host2"
        )

    def does(self, action: str, vm: str) -> bool:
        """Whether the living host is told of success; on a busy machine the seconds of one request may be short."""
        return any(self.lives.ask(action, vm).status == DONE for _ in range(5))

    def fails_saying(self, action: str, vm: str, words: str) -> bool:
        """Whether it fails with these words; what can be found out within one request's seconds may be less."""
        return any(self.lives.ask(action, vm).status == FAILED and words in self.last_verdict(vm) for _ in range(5))

    def last_verdict(self, vm: str) -> str:
        return self.lives.verdicts(vm)[-1]


@pytest.fixture
def two(tmp_path: Path, rabbitmq: RabbitMq) -> Iterator[Two]:
    """Both know each other; the living one may switch the other off."""
    site = BusSite(tmp_path, rabbitmq, NAMES)
    switch = tmp_path / "switch"
    switch.mkdir()
    power_switch(switch)
    lives, dies = site.host("host1", {"node1": MAC}), site.host("host2", VMS)
    user = 'user = "root";' if os.geteuid() == 0 else ""
    agent = f'agent = "fence_lights"; agent_dir = "{switch}"; {user}'
    lives.daemon.daemon = 'host = "host1"; request_timeout = "5"; host_fencing = "act";'
    lives.daemon.rest = f'hosts {{ host {{ name = "host1"; }} host {{ name = "host2"; {agent} }} }}'
    lives.daemon.configure()
    with ExitStack() as stack:
        for host in (lives, dies):
            stack.enter_context(host.daemon)
        lives.knows(*VMS)
        yield Two(lives, dies, switch)


def test_a_dead_hosts_vms_are_off_by_its_agents_status_by_its_agents_act_and_by_an_operators_word(two: Two) -> None:
    assert two.lives.ask("status", "node21") == STATUS_ON
    declined = two.host("confirm-dead", "host2", typed="host2")
    assert (declined.returncode, "it is not dead" in declined.stderr) == (1, True), declined
    two.dies.daemon.process.stop(signal.SIGKILL)

    # Silent is not dead: its power is on, and it is not silent for long enough to be switched off.
    assert two.lives.ask("off", "node21").status == FAILED
    assert "if only fence_virtd on host2 has died, start it" in two.last_verdict("node21")
    assert "off" not in asked_of(two.switch)

    turn(two.switch, "OFF")
    assert two.does("off", "node21"), two.last_verdict("node21")
    assert "reason=proven-off" in two.last_verdict("node21")
    assert "fence_lights says that host2 is off" in two.last_verdict("node21")

    turn(two.switch, "ON")
    two.wait_silent()
    assert two.does("off", "node22"), two.last_verdict("node22")
    assert "reason=proven-off" in two.last_verdict("node22")
    assert two.lives.daemon.says("switching off the silent host host2 by fence_lights")
    assert asked_of(two.switch).count("off") == 1

    turn(two.switch, "out of reach")
    assert two.lives.ask("reboot", "node23").status == FAILED
    assert "host confirm-dead host2" in two.last_verdict("node23")
    wrong = two.host("confirm-dead", "host2", typed="host1")
    assert (wrong.returncode, "nothing was done" in wrong.stderr) == (7, True)
    confirmed = two.host("confirm-dead", "host2", typed="host2")
    assert confirmed.returncode == 0, confirmed.stderr
    assert "Make sure that the power is off" in confirmed.stdout
    assert two.does("reboot", "node23"), two.last_verdict("node23")
    assert "reason=rebooted-not-started" in two.last_verdict("node23")
    assert re.search("confirmed at .* that host2 is dead", two.last_verdict("node23"))
    assert "confirmed dead by" in two.host("list").stdout
    assert two.fails_saying("on", "node23", "host2, where it would be started, is dead"), two.last_verdict("node23")

    # It comes back: the word is taken back, its VMs run anew, and are ended there.
    spoken = len(two.dies.daemon.log)
    with two.dies.daemon:
        two.dies.daemon.wait_for_line("fence_virtd ready", spoken)
        two.lives.sees("node24", STATUS_ON)
        assert "confirmed dead by" not in two.host("list").stdout
        assert two.does("off", "node24"), two.last_verdict("node24")
        assert "host2 is dead" not in two.last_verdict("node24")
    assert two.lives.ask("off", "node25").status == FAILED

    # It goes for good. As it stands in this host's own list, that is where it has to be taken out.
    refused = two.host("forget", "host2", typed="host2")
    assert (refused.returncode, "remove it there first" in refused.stderr) == (1, True)
