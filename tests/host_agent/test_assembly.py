"""What the daemon's parts share, and what cannot be built."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fencebus_host.assembly import build_core
from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config
from fencebus_host.config.problems import ConfigError
from fencebus_schemas.handshake import CHALLENGE_LENGTH
from fencebus_schemas.model import Action
from tests.components import require_module
from tests.daemon_process import SECRET, DaemonProcess
from tests.ports import free_tcp_port
from tests.protocol_client import Guest, connect, signed


def _config(folder: Path, backend: str = "libvirt", listeners: str = "") -> Config:
    return load_text(
        f'fence_virtd {{ backend = "{backend}"; listener = "serial"; state_dir = "{folder}"; }}\n'
        f'backends {{ libvirt {{ uri = "test:///default"; uri1 = "test:///default"; }} }}\n{listeners}',
        "f",
    )


async def test_one_hypervisor_is_built_for_each_different_uri(tmp_path: Path) -> None:
    require_module("libvirt", extra="host")
    core = build_core(_config(tmp_path))
    assert [hypervisor.name for hypervisor in core.hypervisors] == ["test:///default"]
    for hypervisor in core.hypervisors:
        await hypervisor.close()
    await core.records.close()


async def test_a_backend_that_is_not_in_this_version_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"f:1.*null.*is not in this version"):
        build_core(_config(tmp_path, backend="null"))


def test_the_challenge_of_one_listener_is_not_answered_by_another(tmp_path: Path) -> None:
    """The daemon answers before it asks: a peer without the key could have it answer itself."""
    other = free_tcp_port()
    daemon = DaemonProcess(tmp_path)
    daemon.listeners = (
        f'tcp {{ key_file = "KEY"; port = "{daemon.port}"; }}\n'
        f'tcp = "other" {{ key_file = "KEY"; port = "{other}"; request_timeout = "7"; }}\n'
        f'multicast {{ key_file = "KEY"; port = "{other}"; interface = "lo"; address = "239.192.12.9"; }}'
    )
    daemon.configure()
    with daemon:
        daemon.wait_ready()
        with connect(daemon.where, SECRET) as asked:
            asked.send(signed(SECRET, Action.OFF, "node1") + bytes(CHALLENGE_LENGTH))
            asked.receive(CHALLENGE_LENGTH)
            challenge = asked.receive(CHALLENGE_LENGTH)
            with connect(("127.0.0.1", other), SECRET) as oracle:
                oracle.send(signed(SECRET, Action.OFF, "node1") + challenge)
                assert oracle.rest() == b""
            with Guest(SECRET, "239.192.12.9", other) as guest:
                guest.shout(guest.request(Action.OFF, "node1"))
                with guest.called() as oracle:
                    oracle.send(challenge)
                    assert oracle.rest() == b""
        assert daemon.says("reason=reflection")
        assert daemon.ask(Action.STATUS, "node1").code == 0


def test_after_a_reload_a_recorded_request_is_still_refused(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    daemon.listeners = f'multicast {{ key_file = "KEY"; port = "{daemon.port}"; interface = "lo"; REST }}'
    plain = daemon.listeners
    daemon.listeners = plain.replace("REST", "")
    daemon.configure()
    with daemon, Guest(SECRET, "225.0.0.12", daemon.port) as guest:
        daemon.wait_ready()
        recorded = guest.request(Action.STATUS, "node1")
        assert guest.ask(recorded).code == 0
        daemon.listeners = plain.replace("REST", 'request_timeout = "9";')
        daemon.configure()
        before = len(daemon.log)
        daemon.process.send(signal.SIGHUP)
        daemon.wait_for_line("listener=multicast renewed", after=before)
        guest.shout(recorded)
        daemon.wait_for_line("reason=replayed", after=before)
        assert guest.ask(guest.request(Action.STATUS, "node1")).code == 0
