"""The real daemon as a process: how it starts, and which mistakes end the start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fencebus_schemas.model import Action
from fencebus_schemas.xvm import REPLY_SUCCESS
from tests.daemon_process import DaemonProcess

EXIT_CONFIG = 255


# -- command line and files ----------


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fencebus_host.daemon", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    (
        (("-h",), 0, "usage"),
        (("-V",), 0, "fencebus"),
        (("-l",), 0, "multicast"),
        (("--nonsense",), 1, "nonsense"),
        (("-f", "/nonexistent/fence_virt.conf", "-F"), EXIT_CONFIG, "/nonexistent/fence_virt.conf"),
    ),
)
def test_the_command_line_ends_as_documented(arguments: tuple[str, ...], status: int, text: str) -> None:
    ended = _run(*arguments)
    assert ended.returncode == status
    assert text in ended.stdout + ended.stderr


def test_a_second_instance_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        assert int(daemon.pid_file.read_text("ascii")) == daemon.process.pid
        second = _run("-F", "-f", daemon.config_file, "-p", daemon.pid_file)
        assert second.returncode == 1
        assert f"already running as process {daemon.process.pid}" in second.stderr
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
    assert not daemon.pid_file.exists()


def test_a_stale_pid_file_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1", encoding="ascii")
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        assert int(daemon.pid_file.read_text("ascii")) == daemon.process.pid


def test_a_pid_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    ended = _run("-F", "-f", daemon.config_file, "-p", tmp_path / "no" / "such" / "folder" / "pid")
    assert ended.returncode == 1
    assert "No such file or directory" in ended.stderr


# -- keys ----------


@pytest.mark.parametrize("key", ("missing", "empty", "a folder"))
def test_a_bad_key_refuses_to_start_and_is_named(tmp_path: Path, key: str) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.key_file.unlink()
    if key == "empty":
        daemon.key_file.touch(mode=0o600)
    elif key == "a folder":
        daemon.key_file.mkdir()
    ended = _run("-F", "-f", daemon.config_file, "-p", daemon.pid_file)
    assert ended.returncode == EXIT_CONFIG
    assert str(daemon.key_file) in ended.stderr
    assert f"{daemon.config_file}:" in ended.stderr
    assert not daemon.pid_file.exists()


def test_a_key_that_others_may_read_is_a_warning_and_its_mode_stays(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.key_file.chmod(0o644)
    with daemon:
        daemon.wait_ready()
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
    assert daemon.says(f"WARNING .*may read {daemon.key_file}")
    assert daemon.key_file.stat().st_mode & 0o777 == 0o644


def test_all_mistakes_are_told_at_once_each_with_file_and_line(tmp_path: Path) -> None:
    daemon = DaemonProcess(
        tmp_path, listeners='tcp { key_file = "/nonexistent"; }\nmulticast { hash = "md5"; key_file = "KEY"; }\nudp { }'
    )
    ended = _run("-F", "-f", daemon.config_file)
    assert ended.returncode == EXIT_CONFIG
    for line, word in ((2, "/nonexistent"), (3, "md5"), (4, "udp")):
        assert any(f"{daemon.config_file}:{line}" in said and word in said for said in ended.stderr.splitlines())


# -- background ----------


def test_in_the_background_its_starter_waits_until_it_serves(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    ended = _run("-f", daemon.config_file, "-p", daemon.pid_file)
    pid = int(daemon.pid_file.read_text("ascii"))
    try:
        assert ended.returncode == 0, ended.stderr
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
    finally:
        _end(pid)
    assert not daemon.pid_file.exists()


def test_in_the_background_its_starter_learns_that_it_did_not_start(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    with socket.create_server(daemon.where):
        ended = _run("-f", daemon.config_file, "-p", daemon.pid_file)
    assert ended.returncode == 1
    assert "did not start" in ended.stderr


def _end(pid: int) -> None:
    """End a process that is not our child, and wait until it is gone."""
    os.kill(pid, signal.SIGTERM)
    limit = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text("ascii").split()[2]:
        assert time.monotonic() < limit
        time.sleep(0.02)


# -- a busy port ----------


def test_a_busy_port_ends_the_start_and_is_named(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    with socket.create_server(daemon.where), daemon:
        assert daemon.process.wait() == 1
    assert daemon.says(f"listener tcp failed: .*port {daemon.port}: (?i:address already in use)")
    assert not daemon.pid_file.exists()


def test_with_w_a_busy_port_is_waited_for_and_taken_when_it_is_free(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, options=["-w"])
    with socket.create_server(daemon.where) as busy, daemon:
        daemon.wait_ready()
        assert daemon.says("ready: working: .*; listener tcp: .*(?i:address already in use)")
        busy.close()
        daemon.wait_for_line("listener=tcp ready")
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
