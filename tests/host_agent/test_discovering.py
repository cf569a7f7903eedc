"""From a configuration without a backend to a router: taken and kept, waited for, refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host import discovering
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.command_line import Explain, read
from fencebus_host.config.fence_agent_settings import FenceAgentSettings
from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config, LibvirtSettings
from fencebus_host.config.problems import ConfigError
from fencebus_host.discovering import explanation, keep, kept, settle, settle_patiently
from tests.components import require_program, require_root
from tests.daemon_process import DaemonProcess
from tests.host_agent.config.test_host_look import put
from tests.host_agent.routers.fence_agent.agents import WrittenAgent


def config(folder: Path, sections: str = "", backend: str = "") -> Config:
    chosen = f'backend = "{backend}"; ' if backend else ""
    text = f'fence_virtd {{ listener = "serial"; {chosen}state_dir = "{folder}/state"; }} backends {{ {sections} }}'
    return load_text(text, "f", folder / "f")


def agent_section(folder: Path) -> str:
    require_root()
    agent = WrittenAgent(folder / "agents")
    return f'fence_agent {{ agent = "{agent.name}"; agent_dir = "{agent.folder}"; user = "root"; }}'


def test_a_bare_host_takes_local_and_that_is_kept_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    found = settle_patiently(config(tmp_path), lambda _text: None, tmp_path)
    assert isinstance(found.backend, LibvirtSettings)
    choice = tmp_path / "state/router"
    assert choice.read_text() == "local\n"
    assert choice.stat().st_mode & 0o777 == 0o600


def test_a_fence_agents_section_is_taken_with_its_files_read(tmp_path: Path) -> None:
    found, decision = settle(config(tmp_path, agent_section(tmp_path)), tmp_path)
    assert decision is not None
    assert decision.router == "fence_agent"
    assert isinstance(found.backend, FenceAgentSettings)
    assert found.backend.agents[0].user == "root"


def test_a_section_whose_files_are_bad_refuses_rather_than_falling_to_the_next(tmp_path: Path) -> None:
    section = agent_section(tmp_path).replace("}", 'options_file = "/nowhere"; }')
    with pytest.raises(ConfigError, match="bad-options"):
        settle(config(tmp_path, section), tmp_path)


def test_a_fall_refuses_and_says_which_file_to_delete(tmp_path: Path) -> None:
    keep(tmp_path / "state", "fence_agent")
    with pytest.raises(ConfigError, match="was fence_agent") as caught:
        settle(config(tmp_path), tmp_path)
    assert f"delete {tmp_path}/state/router" in str(caught.value)
    (tmp_path / "state/router").unlink()
    assert settle(config(tmp_path), tmp_path)[1] is not None


def test_the_operators_choice_in_the_file_is_no_fall(tmp_path: Path) -> None:
    keep(tmp_path / "state", "fence_agent")
    found, decision = settle(config(tmp_path, backend="local"), tmp_path)
    assert decision is None
    assert found.backend.kind == "libvirt"


@pytest.mark.parametrize("backend", ("", "libvirt", "local", "cpg"))
def test_a_host_of_vdsm_refuses_every_kill_of_its_own(tmp_path: Path, backend: str) -> None:
    put(tmp_path, "etc/vdsm/vdsm.id")
    put(tmp_path, "etc/ovirt-hosted-engine/hosted-engine.conf", "fqdn=engine.example\n")
    with pytest.raises(ConfigError, match=r"belongs to VDSM.*https://engine\.example"):
        settle(config(tmp_path, backend=backend), tmp_path)


def test_on_a_host_of_vdsm_other_machines_may_still_be_fenced_if_somebody_says_so(tmp_path: Path) -> None:
    put(tmp_path, "etc/vdsm/vdsm.id")
    assert settle(config(tmp_path, 'libvirt { uri = "test:///default"; }', "libvirt"), tmp_path)[1] is None


def test_a_host_that_is_not_ready_is_waited_for_and_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovering, "LOOK_AGAIN", 0.01)
    put(tmp_path, "etc/corosync/corosync.conf")
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 3:
            (tmp_path / "etc/corosync/corosync.conf").unlink()

    assert settle_patiently(config(tmp_path), tell, tmp_path).backend.kind == "libvirt"
    assert len(told) == 3
    assert "corosync does not run" in told[0]


def test_what_cannot_be_kept_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written down"):
        keep(tmp_path / "state", "local")


def test_a_reload_keeps_what_was_discovered_and_takes_what_was_chosen(tmp_path: Path) -> None:
    running, _ = settle(config(tmp_path, agent_section(tmp_path)), tmp_path)
    assert kept(config(tmp_path), running).backend == running.backend
    assert kept(config(tmp_path, backend="local"), running).backend.kind == "libvirt"


def test_a_reload_reads_the_keys_of_a_discovered_bus_anew_or_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "bus.key"
    key.touch(mode=0o600)
    key.write_bytes(b"old")
    section = f'qmf {{ url = "amqp://b"; key_file = "{key}"; }}'
    running, _ = settle(config(tmp_path, section), tmp_path)
    key.write_bytes(b"new")
    found = kept(config(tmp_path, section), running).backend
    assert isinstance(found, QmfSettings)
    assert found.keys == (b"new",)
    key.unlink()
    with pytest.raises(ConfigError, match="bad-key"):
        kept(config(tmp_path, section), running)


# -- the explanation ----------


def test_the_table_explains_what_was_looked_for_and_what_came_of_it(tmp_path: Path) -> None:
    text, status = explanation(config(tmp_path), tmp_path)
    assert status == 0
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["router", "ovirt", "qmf", "checkpoint", "fence_agent", "local"]
    assert lines[5].endswith("taken")
    assert lines[-1].startswith("take: router local")
    assert not (tmp_path / "state").exists(), "to explain changes nothing"


def test_the_table_shows_a_section_also_where_somebody_chose_it(tmp_path: Path) -> None:
    chosen = config(tmp_path, agent_section(tmp_path), backend="fence_agent")
    text, status = explanation(chosen, tmp_path)
    assert status == 0
    (line,) = [line for line in text.splitlines() if line.startswith("fence_agent ")]
    assert "no fence agent" not in line
    assert "The configuration chooses fence_agent" in text


def test_the_table_says_what_an_operator_can_do(tmp_path: Path) -> None:
    keep(tmp_path / "state", "fence_agent")
    text, status = explanation(config(tmp_path), tmp_path)
    assert status == 1
    assert f"delete {tmp_path}/state/router" in text


def test_the_table_names_a_choice_of_the_configuration_and_what_forbids_it(tmp_path: Path) -> None:
    text, status = explanation(config(tmp_path, backend="local"), tmp_path)
    assert "The configuration chooses libvirt (f:1); nothing is discovered." in text
    assert status == 0
    put(tmp_path, "etc/vdsm/vdsm.id")
    text, status = explanation(config(tmp_path, backend="local"), tmp_path)
    assert "It is refused: this host belongs to VDSM" in text
    assert status == 1


def test_the_option_is_read() -> None:
    assert read(["--explain-discovery"]) == Explain(None)
    assert read(["-e", "-f", "/x"]) == Explain(Path("/x"))


# -- the program ----------


def run(file: Path, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "fencebus_host.daemon", "-F", "-f", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def written(folder: Path, text: str) -> Path:
    file = folder / "conf"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


# With processes of its own, so that a corosync of another test is not seen.
ALONE = ("--pid", "--fork", "--kill-child", "--mount-proc")


def another_etc(folder: Path, *apart: str) -> tuple[str, ...]:
    """A prefix that runs a program with a folder of its own as /etc, in which no corosync is configured."""
    require_root()
    unshare = require_program("unshare", package="util-linux")
    shutil.copytree("/etc", folder / "etc", symlinks=True, ignore_dangling_symlinks=True)
    (folder / "etc/corosync/corosync.conf").unlink(missing_ok=True)
    return (str(unshare), "--mount", *apart, "sh", "-c", f'mount --bind {folder}/etc /etc && exec "$@"', "sh")


def only_child(pid: int) -> int:
    """The program that unshare runs in a process namespace of its own."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_a_program_that_waits_ends_in_order(tmp_path: Path) -> None:
    prefix = another_etc(tmp_path, *ALONE)
    put(tmp_path, "etc/corosync/corosync.conf")
    daemon = DaemonProcess(tmp_path, prefix=prefix)
    daemon.config_file.write_text(daemon.config_file.read_text().replace('backend = "libvirt"; ', ""))
    with daemon:
        daemon.wait_for_line("waiting for it")
        os.kill(only_child(daemon.process.pid), signal.SIGTERM)
        assert daemon.process.wait() == 0
    assert not daemon.pid_file.exists()


def test_the_program_prints_the_table(tmp_path: Path) -> None:
    found = run(written(tmp_path, 'fence_virtd { listener = "serial"; backend = "local"; }'), "--explain-discovery")
    assert found.returncode == 0
    assert "The configuration chooses libvirt" in found.stdout


def test_the_program_refuses_a_host_of_vdsm_without_a_manager_and_says_what_to_configure(tmp_path: Path) -> None:
    prefix = another_etc(tmp_path, *ALONE)
    put(tmp_path, "etc/vdsm/vdsm.id")
    put(tmp_path, "etc/ovirt-hosted-engine/hosted-engine.conf", "fqdn=engine.example\n")
    file = written(tmp_path, f'fence_virtd {{ listener = "serial"; state_dir = "{tmp_path}/state"; }}')
    found = run(file, prefix=prefix)
    assert found.returncode == 255
    assert 'ovirt { url = "https://engine.example"' in found.stderr


def test_the_program_waits_for_corosync_and_goes_on_by_itself(tmp_path: Path) -> None:
    prefix = another_etc(tmp_path, *ALONE)
    (tmp_path / "etc/corosync").mkdir(exist_ok=True)
    put(tmp_path, "etc/corosync/corosync.conf")
    daemon = DaemonProcess(tmp_path, prefix=prefix)
    text = daemon.config_file.read_text().replace('backend = "libvirt"; ', "")
    daemon.config_file.write_text(text)
    with daemon:
        daemon.wait_for_line("waiting for it")
        assert "ready" not in daemon.log
        os.kill(only_child(daemon.process.pid), signal.SIGHUP)
        (tmp_path / "etc/corosync/corosync.conf").unlink()
        daemon.wait_ready()
        assert daemon.says("discovery: router local: no VDSM")
        daemon.process.stop(signal.SIGKILL)  # unshare passes no other signal on
    assert (daemon.state_dir / "router").read_text() == "local\n"
