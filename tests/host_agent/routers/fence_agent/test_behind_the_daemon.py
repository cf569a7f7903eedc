"""The whole daemon with a fence agent as its router, alone and in an order with this host's own VMs."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_schemas.model import Action
from tests.components import require_root
from tests.daemon_process import SECRET, DaemonProcess
from tests.documents import Page, lines_apart
from tests.host_agent.routers.fence_agent.agents import WrittenAgent, open_to_all
from tests.host_agent.test_discovering import another_etc
from tests.protocol_client import ask_tcp, signed

ON, OFF, DONE, FAILED, DENIED = 0, 2, 0, 1, 3
UUID = "6a2d1f0e-1111-2222-3333-444455556666"
MAPPED = f'vm {{ name = "managed"; plug = "100"; uuid = "{UUID}"; }}'


@dataclass
class Site:
    """A daemon, and the agent behind it."""

    daemon: DaemonProcess
    agent: WrittenAgent

    def ask(self, action: Action, target: str = "") -> int:
        """The code of its answer."""
        return self.daemon.ask(action, target).code


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One whose configuration a test writes before it starts it."""
    require_root()
    agent = WrittenAgent(tmp_path / "agents")
    daemon = DaemonProcess(tmp_path)
    yield Site(daemon, agent)
    daemon.process.stop()


def start(site: Site, backend: str, more: str = MAPPED, user: str = "root", rest: str = "") -> None:
    """Start it with this agent, or with this order of backends."""
    agent = f'agent = "{site.agent.name}"; agent_dir = "{site.agent.folder}"; user = "{user}"; {more}'
    chosen = f'backend = "{backend}";' if backend else ""
    text = site.daemon.config_file.read_text().replace('backend = "libvirt";', f'{chosen} request_timeout = "4";')
    text = text.replace("backends {", f"backends {{ fence_agent {{ {agent} }} ")
    site.daemon.config_file.write_text(text + rest)
    site.daemon.process.start()
    site.daemon.wait_ready()


def test_the_line_of_the_page_asks_an_agent_by_hand_as_the_daemon_does(tmp_path: Path) -> None:
    require_root()
    agent, options = WrittenAgent(tmp_path / "agents"), tmp_path / "pve.options"
    options.write_text("ip=pve.example\n")
    (line,) = lines_apart(Page("docs/fence-agents.md").section("When it does not work"))
    there = {"/etc/fencebus/pve.options": str(options), "-u fence-agents": "-u root", "plug=101": "plug=100"}
    for old, new in {**there, "-- fence_pve": f"-- {agent.program}"}.items():
        assert old in line
        line = line.replace(old, new)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert done.stdout == "Status: ON\n0\n", done
    assert "ip=pve.example" in agent.told


def test_every_action_goes_through_the_agent(site: Site) -> None:
    start(site, "fence_agent")
    assert site.ask(Action.STATUS, "managed") == ON
    assert site.ask(Action.OFF, "managed") == DONE
    assert site.agent.state("100") == "off"
    assert site.ask(Action.STATUS, UUID) == OFF
    assert site.ask(Action.ON, UUID) == DONE
    assert site.ask(Action.REBOOT, UUID) == DONE
    assert site.agent.runs("reboot") == 0
    assert site.ask(Action.MONITOR) == DONE
    assert set(site.daemon.ask(Action.LIST).states()) == {"managed"}
    assert site.ask(Action.OFF, "node1") == FAILED, "this host's own VMs are not the agent's"
    assert site.daemon.says("verdict .* action=reboot .* reason=rebooted ")


def test_who_may_is_asked_before_the_agent(site: Site) -> None:
    start(site, "fence_agent", rest='groups { group { uuid = "other"; ip = "127.0.0.1"; } }')
    assert site.ask(Action.OFF, "managed") == DENIED
    assert site.agent.runs("off") == 0


def test_an_agent_runs_as_the_user_of_the_configuration(site: Site, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    start(site, "fence_agent", user="nobody", more='vm { name = "a"; plug = "100"; }')
    # It cannot write where the agent keeps its plugs: that it tries, and fails, shows whose rights it has.
    assert site.ask(Action.OFF, "a") == FAILED
    assert site.agent.state("100") == "on"


def test_in_an_order_each_vm_is_fenced_by_the_first_that_knows_it(site: Site) -> None:
    start(site, "fence_agent, local")
    assert site.ask(Action.OFF, "managed") == DONE
    assert site.ask(Action.OFF, "node1") == DONE
    assert site.agent.runs("off") == 1
    assert {"managed", "node1", "node2"} <= set(site.daemon.ask(Action.LIST).states())


def test_a_manager_that_is_down_does_not_hand_its_vms_to_the_host(site: Site) -> None:
    site.agent.changed = "on_list_status() { exit 1; }"
    site.agent.__post_init__()
    start(site, "fence_agent, local", more="")
    for target in ("node1", "00000000-0000-0000-0000-000000000001"):
        assert site.ask(Action.OFF, target) == FAILED
    assert site.ask(Action.STATUS, "node1") == FAILED
    assert site.daemon.says("list-status failed")


def test_discovery_takes_a_configured_agent_and_a_reload_keeps_it(site: Site, tmp_path: Path) -> None:
    site.daemon.process.argv[:0] = another_etc(tmp_path)
    start(site, "")
    assert site.daemon.says("discovery: router fence_agent: ")
    assert (site.daemon.state_dir / "router").read_text() == "fence_agent\n"
    assert site.ask(Action.STATUS, "managed") == ON
    site.daemon.process.send(signal.SIGHUP)
    site.daemon.wait_for_line("configuration reloaded")
    assert not site.daemon.says("need a restart")
    assert site.ask(Action.STATUS, "managed") == ON


def test_an_agent_that_hangs_delays_nobody_who_asks_for_something_else(site: Site) -> None:
    site.agent.changed = "on_off() { exec sleep 600; }"
    site.agent.__post_init__()
    start(site, "fence_agent, local")
    codes: list[int] = []
    hanging = threading.Thread(target=lambda: codes.append(site.ask(Action.OFF, "managed")))
    hanging.start()
    assert ask_tcp(site.daemon.where, signed(SECRET, Action.STATUS, UUID), SECRET).code == ON
    hanging.join()
    assert codes == [FAILED]
    assert site.agent.state("100") == "on"
