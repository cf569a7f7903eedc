"""The real daemon as a process: start, mistakes, reload, trouble with libvirt and the disk, the end."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryHypervisor
from fencebus_host import daemon as fence_virtd
from fencebus_schemas.model import Action, HostId, Incarnation
from fencebus_schemas.xvm import REPLY_DENIED, REPLY_FAILURE, REPLY_OFF, REPLY_SUCCESS
from tests.components import require_program, require_root
from tests.daemon_process import SECRET, DaemonProcess, uuid_of
from tests.namespaces import link6, own_network
from tests.ports import free_tcp_port
from tests.protocol_client import Guest, PeerClosed, Secret, ask_tcp, connect, signed

EXIT_CONFIG = 255


def test_it_fences_vms_of_libvirts_test_driver(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        assert daemon.ask(Action.LIST).states() == {"node1": 1, "node2": 1}
        for action, code in (
            (Action.STATUS, REPLY_SUCCESS),
            (Action.OFF, REPLY_SUCCESS),
            (Action.STATUS, REPLY_OFF),
            (Action.ON, REPLY_SUCCESS),
            (Action.STATUS, REPLY_SUCCESS),
            (Action.REBOOT, REPLY_SUCCESS),
            (Action.STATUS, REPLY_SUCCESS),
        ):
            assert (action, daemon.ask(action, "node1").code) == (action, code)
        assert daemon.ask(Action.STATUS, uuid_of("node2")).code == REPLY_SUCCESS


def test_listeners_of_both_kinds_and_both_families_serve_at_once(tmp_path: Path) -> None:
    with own_network():
        link6("link6", "fd00::1/64")
        daemon = DaemonProcess(tmp_path)
        common = f'key_file = "KEY"; port = "{daemon.port}";'
        daemon.listeners = (
            f'tcp {{ {common} }}\ntcp = "six" {{ {common} family = "ipv6"; address = "fd00::1"; }}\n'
            f'multicast {{ {common} interface = "lo"; }}\n'
            f'multicast = "six" {{ {common} interface = "link6"; family = "ipv6"; }}'
        )
        daemon.configure()
        with daemon:
            daemon.wait_ready()
            for address in ("127.0.0.1", "fd00::1"):
                assert ask_tcp((address, daemon.port), signed(SECRET, Action.STATUS, "node1"), SECRET).code == 0
            for group, address in (("225.0.0.12", "127.0.0.1"), ("ff05::3:1", "fd00::1")):
                with Guest(SECRET, group, daemon.port, address, "link6") as guest:
                    assert guest.ask(guest.request(Action.STATUS, "node1")).code == REPLY_SUCCESS


def test_a_power_action_leaves_lines_that_share_its_request_id(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready().ask(Action.OFF, "node1")
        accepted, verdict = daemon.says("accepted request=|verdict request=")
        request = accepted.split("request=")[1].split()[0]
        assert len(request) == 32
        assert f"request={request} action=off target='node1' source=127.0.0.1" in verdict
        assert "ok=yes reason=proven-off" in verdict


# -- command line and files ----------


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fencebus_host.daemon", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


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
    limit = time.monotonic() + 10
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


# -- reload ----------


def _reload(daemon: DaemonProcess, said: str) -> None:
    """Have the configuration read again, and wait for the line that says what came of it."""
    before = len(daemon.log)
    daemon.process.send(signal.SIGHUP)
    daemon.wait_for_line(said, after=before)


def test_a_reload_takes_a_new_key_and_forgets_the_old_one(tmp_path: Path) -> None:
    new = Secret(b"the new key")
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        before = len(daemon.log)
        daemon.key_file.write_bytes(new.key)
        daemon.process.send(signal.SIGHUP)
        daemon.wait_for_line("listener=tcp renewed", after=before)
        assert daemon.ask(Action.STATUS, "node1", new).code == REPLY_SUCCESS
        with pytest.raises(PeerClosed):
            daemon.ask(Action.STATUS, "node1")
        assert not daemon.says("part=listener tcp failed")


def test_a_key_rotates_without_a_connection_refused_or_broken_off(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        with connect(daemon.where, SECRET) as before:
            before.send(signed(SECRET, Action.STATUS, "node1"))
            (tmp_path / "new").write_bytes(b"the new key")
            (tmp_path / "new").chmod(0o600)
            daemon.listeners = f'tcp {{ key_file = "{tmp_path / "new"}, KEY"; port = "{daemon.port}"; }}'
            daemon.configure()
            _reload(daemon, "configuration reloaded")
            for secret in (SECRET, Secret(b"the new key")):
                assert daemon.ask(Action.STATUS, "node1", secret).code == REPLY_SUCCESS
            # What was begun before the reload ends as it began.
            before.handshake()
            assert before.reply().code == REPLY_SUCCESS
        assert not daemon.says("part=listener tcp failed")


def test_a_reload_opens_new_listeners_and_closes_those_that_are_gone(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        old, daemon.port = daemon.where, free_tcp_port()
        daemon.configure()
        _reload(daemon, f"ready on 127.0.0.1 port {daemon.port}")
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
        with pytest.raises(ConnectionRefusedError):
            connect(old, SECRET)


def test_a_reload_puts_groups_in_force(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
        daemon.rest = 'groups { group { name = "g"; ip = "192.0.2.1"; uuid = "node1"; } }'
        daemon.configure()
        _reload(daemon, "configuration reloaded")
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_DENIED


def test_a_reload_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        daemon.key_file.write_bytes(b"")
        _reload(daemon, "reload refused, the old configuration stays in force")
        assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS


@contextmanager
def _slow_disk(daemon: DaemonProcess) -> Iterator[None]:
    """Lock the daemon's records, as a disk that stands still would: a kill is answered only afterwards."""
    lock = sqlite3.connect(daemon.state_dir / "records.sqlite", isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
        lock.execute("ROLLBACK")
    finally:
        lock.close()


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGHUP))
def test_a_fence_that_has_begun_is_finished_and_answered(tmp_path: Path, number: signal.Signals) -> None:
    with DaemonProcess(tmp_path) as daemon, ThreadPoolExecutor(1) as beside:
        daemon.wait_ready()
        with _slow_disk(daemon):
            asking = beside.submit(daemon.ask, Action.REBOOT, "node1")
            daemon.wait_for_line("accepted request=")
            daemon.key_file.write_bytes(b"another key")
            daemon.process.send(number)
            daemon.wait_for_line("stopping" if number is signal.SIGTERM else "configuration reloaded")
            time.sleep(0.3)
            assert not asking.done()
        assert asking.result(15).code == REPLY_SUCCESS
        if number is signal.SIGTERM:
            assert daemon.process.wait() == 0
    assert daemon.says("verdict .*reason=rebooted")


# -- trouble ----------


def test_without_libvirt_it_starts_says_so_and_fails_requests_at_their_deadline(tmp_path: Path) -> None:
    uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"
    with DaemonProcess(tmp_path, uri=uri, daemon='request_timeout = "1";') as daemon:
        daemon.wait_ready()
        assert daemon.says("ready: working: listener tcp; router libvirt: .*no connection")
        began = time.monotonic()
        assert daemon.ask(Action.OFF, "node1").code == REPLY_FAILURE
        assert 0.5 < time.monotonic() - began < 4


def test_after_a_kill_it_opens_its_records_again(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    with daemon:
        daemon.wait_ready()
        assert daemon.ask(Action.OFF, "node1").code == REPLY_SUCCESS
        daemon.process.stop(signal.SIGKILL)
        daemon.process.log.unlink()
        daemon.process.start()
        daemon.wait_ready()
        assert daemon.ask(Action.OFF, "node2").code == REPLY_SUCCESS
    with sqlite3.connect(daemon.state_dir / "records.sqlite") as records:
        kills = records.execute("SELECT vm FROM kill ORDER BY vm").fetchall()
    records.close()
    assert kills == [(uuid_of("node1"),), (uuid_of("node2"),)]


@contextmanager
def _small_disk(folder: Path, kib: int) -> Iterator[None]:
    require_root()
    folder.mkdir()
    mount, umount = (require_program(name, "mount") for name in ("mount", "umount"))
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={kib}k", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run([umount, folder], check=True)


def test_a_kill_that_cannot_be_written_down_is_a_failure_that_says_so(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "state", 512), DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        (daemon.state_dir / "filler").write_bytes(b"")
        _fill(daemon.state_dir / "filler")
        assert daemon.ask(Action.OFF, "node1").code == REPLY_FAILURE
        assert daemon.says("verdict .*ok=no reason=not-recorded .*disk")
        (daemon.state_dir / "filler").unlink()
        assert daemon.ask(Action.OFF, "node2").code == REPLY_SUCCESS
        assert daemon.ask(Action.OFF, "node1").code == REPLY_SUCCESS


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as filler:
        for size in (4096, 1):
            try:
                while filler.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_a_state_folder_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.state_dir.write_bytes(b"not a folder")
    with daemon:
        assert daemon.process.wait() == 1
    assert daemon.says(f"ERROR .*{daemon.state_dir}")


# -- systemd ----------


def test_systemd_is_told_of_ready_status_signs_of_life_and_the_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        with DaemonProcess(tmp_path, env=env) as daemon:
            told = _told_until(systemd, "READY=1")
            assert told.count("READY=1") == 1
            assert _told_until(systemd, "WATCHDOG=1")
            assert _told_until(systemd, "WATCHDOG=1")
            daemon.port = free_tcp_port()
            daemon.configure()
            daemon.process.send(signal.SIGHUP)
            _told_until(systemd, "STATUS=working: router libvirt; listener tcp: starting")
            _told_until(systemd, "STATUS=working: router libvirt, listener tcp")
            daemon.process.send(signal.SIGTERM)
            _told_until(systemd, "STOPPING=1")
            assert daemon.process.wait() == 0


def _told_until(systemd: socket.socket, state: str) -> list[str]:
    """The states that the daemon sends, up to the first that begins with ``state``."""
    told: list[str] = []
    while not any(one.startswith(state) for one in told):
        told += systemd.recv(4096).decode().split("\n")
    return told


def test_the_same_request_over_a_new_connection_gets_the_firsts_outcome(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        request = signed(SECRET, Action.REBOOT, "node1")
        assert ask_tcp(daemon.where, request, SECRET).code == REPLY_SUCCESS
        assert ask_tcp(daemon.where, request, SECRET).code == REPLY_SUCCESS
    with sqlite3.connect(daemon.state_dir / "records.sqlite") as records:
        (kills,) = records.execute("SELECT count(DISTINCT life) FROM kill").fetchone()
    records.close()
    assert kills == 1


async def test_a_hypervisor_that_is_lost_is_reported_and_one_that_is_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence_virtd, "LOOK_SECONDS", 0.01)
    hypervisor = MemoryHypervisor(HostId("here"), Incarnation("boot", "machine", "nonce"))
    assert await fence_virtd._reached(hypervisor) is None
    hypervisor.unreachable = True
    assert str(await fence_virtd._reached(hypervisor)) == "memory:///: no answer until the deadline"
    hypervisor.unreachable = False
    assert await fence_virtd._reached(hypervisor) is None
