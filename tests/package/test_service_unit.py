"""The unit file as systemd itself sees it: correct, hardened, ordered; and the user that may run it instead of root."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fencebus_agent.__main__ import EXIT_USAGE
from tests.components import CHECKOUT, require_program

PACKAGING = CHECKOUT / "packaging"
UNIT = PACKAGING / "systemd" / "fence_virtd.service"
AGENT = PACKAGING / "systemd" / "fencebus-agentd.service"
DROP_IN = PACKAGING / "systemd" / "unprivileged.conf"
WORST_EXPOSURE, AGENTS_EXPOSURE = 5.0, 1.5


def settings(name: str, path: Path = UNIT) -> list[str]:
    """Return the words of every line `name=` of a unit file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [word for line in lines if line.startswith(f"{name}=") for word in line.partition("=")[2].split()]


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd for this."""
    program = require_program("systemd-analyze", package="systemd")
    command = [str(program), "--no-pager", *map(str, words)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)


def exposure(unit: Path) -> float:
    """Return systemd's figure for how exposed a unit is: 0 (not at all) to 10."""
    run = analyze("security", "--offline=yes", unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", run.stdout)
    assert found, run.stdout + run.stderr
    return float(found.group(1))


def as_installed(unit: Path, folder: Path) -> Path:
    """A unit with a daemon that exists on this machine, as after an installation."""
    daemon = folder / unit.stem
    daemon.write_text("#!/bin/sh\n")
    daemon.chmod(0o755)
    copy = folder / unit.name
    copy.write_text(unit.read_text(encoding="utf-8").replace(f"/usr/sbin/{unit.stem}", str(daemon)))
    return copy


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The daemon's unit."""
    return as_installed(UNIT, tmp_path)


@pytest.mark.parametrize("unit", (UNIT, AGENT), ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path, tmp_path: Path) -> None:
    run = analyze("verify", "--man=no", as_installed(unit, tmp_path))
    # Debian's own units may be of another version than its systemd: only what is said about ours counts.
    assert [line for line in (run.stdout + run.stderr).splitlines() if unit.stem in line] == []
    assert run.returncode == 0, run.stderr


def test_systemd_would_find_a_wrong_setting(installed: Path) -> None:
    installed.write_text(installed.read_text() + "\n[Service]\nProtectSystm=strict\n")
    run = analyze("verify", "--man=no", installed)
    assert "ProtectSystm" in run.stderr


def test_the_unit_is_hardened(installed: Path) -> None:
    assert exposure(installed) <= WORST_EXPOSURE


def test_the_agents_unit_may_look_and_nothing_else(tmp_path: Path) -> None:
    assert exposure(as_installed(AGENT, tmp_path)) <= AGENTS_EXPOSURE
    assert settings("DynamicUser", AGENT) == ["yes"]
    assert not settings("CapabilityBoundingSet", AGENT)
    assert not settings("ReadWritePaths", AGENT)


def test_the_agent_is_not_started_again_where_its_command_line_is_wrong() -> None:
    assert settings("RestartPreventExitStatus", AGENT) == [str(EXIT_USAGE)]
    assert "-s ${STATE_DIRECTORY}" in " ".join(settings("ExecStart", AGENT))
    assert settings("EnvironmentFile", AGENT) == ["-/etc/default/fencebus-agentd"]


def test_without_root_the_unit_is_exposed_even_less(installed: Path) -> None:
    as_root = exposure(installed)
    installed.write_text(installed.read_text() + DROP_IN.read_text(encoding="utf-8"))
    assert exposure(installed) < as_root


def test_the_daemon_starts_after_libvirt_and_its_networks_but_does_not_require_them() -> None:
    assert {"libvirtd.service", "virtqemud.socket", "virtnetworkd.service"} <= set(settings("After"))
    assert not settings("Requires")
    assert not settings("BindsTo")


def test_saved_guests_come_back_after_the_daemon() -> None:
    assert "libvirt-guests.service" in settings("Before")


def test_systemd_learns_when_the_daemon_is_ready_and_when_it_hangs() -> None:
    assert settings("Type") == ["notify"]
    assert settings("WatchdogSec") == ["30s"]
    assert "-HUP" in settings("ExecReload")


def test_nothing_hides_the_processes_whose_death_is_the_proof() -> None:
    for setting in ("ProtectProc", "ProcSubset", "PrivateUsers", "PrivatePIDs"):
        assert settings(setting) == []


def test_every_transport_has_its_address_family() -> None:
    assert set(settings("RestrictAddressFamilies")) == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_VSOCK"}


def test_the_polkit_rule_and_the_drop_in_speak_of_the_user_that_is_made() -> None:
    sysusers = (PACKAGING / "sysusers.d" / "fencebus.conf").read_text(encoding="utf-8")
    rule = (PACKAGING / "polkit" / "50-fencebus.rules").read_text(encoding="utf-8")
    assert "\nu fencebus " in sysusers
    assert 'subject.user === "fencebus"' in rule
    assert '"org.libvirt.unix.manage"' in rule
    assert settings("User", DROP_IN) == ["fencebus"]


def test_systemd_makes_the_user(tmp_path: Path) -> None:
    program = require_program("systemd-sysusers", package="systemd")
    (tmp_path / "etc").mkdir()
    config = PACKAGING / "sysusers.d" / "fencebus.conf"
    subprocess.run([program, f"--root={tmp_path}", config], check=True, stdin=subprocess.DEVNULL, timeout=50)
    assert "fencebus:" in (tmp_path / "etc" / "passwd").read_text()
    assert re.search(r"^libvirt:.*:fencebus$", (tmp_path / "etc" / "group").read_text(), re.MULTILINE)
