"""The real daemon as a process: what it serves, trouble with libvirt and the disk, and what systemd hears."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencebus_agent.memory_driver import MemoryHypervisor
from fencebus_host import daemon as fence_virtd
from fencebus_schemas.model import Action, HostId, Incarnation
from fencebus_schemas.xvm import REPLY_FAILURE, REPLY_OFF, REPLY_SUCCESS
from tests.components import require_program, require_root
from tests.daemon_process import SECRET, DaemonProcess, uuid_of
from tests.elapsed import Stopwatch
from tests.namespaces import link6, own_network
from tests.ports import free_tcp_port
from tests.protocol_client import Guest, ask_tcp, signed


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


# -- trouble ----------


def test_without_libvirt_it_starts_says_so_and_fails_requests_at_their_deadline(tmp_path: Path) -> None:
    uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"
    with DaemonProcess(tmp_path, uri=uri, daemon='request_timeout = "1";') as daemon:
        daemon.wait_ready()
        assert daemon.says("ready: working: listener tcp; router libvirt: .*no connection")
        watch = Stopwatch()
        assert daemon.ask(Action.OFF, "node1").code == REPLY_FAILURE
        assert watch.seconds > 0.5
        assert watch.undisturbed < 4


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
        systemd.settimeout(40)
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
