"""The real daemon as a process: what a reload puts in force while it serves, and what it leaves alone."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencebus_schemas.model import Action
from fencebus_schemas.xvm import REPLY_DENIED, REPLY_SUCCESS
from tests.daemon_process import SECRET, DaemonProcess
from tests.ports import free_tcp_port
from tests.protocol_client import PeerClosed, Secret, connect, signed


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
        assert asking.result(30).code == REPLY_SUCCESS
        if number is signal.SIGTERM:
            assert daemon.process.wait() == 0
    assert daemon.says("verdict .*reason=rebooted")
