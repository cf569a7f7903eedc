"""The doctor asks the daemon itself, over the wire: it sees what no look at settings shows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config.load import load
from fencebus_host.config.model import Config, Family, MulticastSettings, TcpSettings
from fencebus_host.control import PartState
from fencebus_host.ctl.doctor import round_trip
from fencebus_host.ctl.doctor.daemon_checks import Running
from fencebus_host.ctl.doctor.findings import Level
from fencebus_host.ctl.doctor.round_trip import Unanswered, ask, check_round_trips
from fencebus_schemas.xvm import REPLY_FAILURE, REPLY_SUCCESS
from tests.components import require_program
from tests.daemon_process import DaemonProcess
from tests.namespaces import link6, own_network, run_ip

LISTENERS = """
multicast { key_file = "KEY"; interface = "lo"; port = "4129"; }
multicast = "six" { key_file = "KEY"; interface = "mc6"; family = "ipv6"; address = "ff05::3:1"; port = "4129"; }
tcp { key_file = "KEY"; address = "0.0.0.0"; port = "4129"; hash = "sha512"; auth = "sha1"; }
tcp = "named" { key_file = "KEY"; address = "localhost"; port = "4130"; }
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with every kind of listener that can be asked, alone in its network."""
    with own_network():
        link6("mc6", "fd00:77::1/64")
        with DaemonProcess(tmp_path, LISTENERS, 'listener = "multicast,tcp";') as daemon:
            yield daemon.wait_ready()


def works(settings: Config, trouble: str | None = None) -> Running:
    return Running(tuple(PartState(f"listener {each.name}", trouble) for each in settings.listeners))


def multicast(settings: Config) -> MulticastSettings:
    return next(each for each in settings.listeners if isinstance(each, MulticastSettings))


def tcp(settings: Config) -> TcpSettings:
    return next(each for each in settings.listeners if isinstance(each, TcpSettings))


def test_every_listener_answers_the_host_itself(running: DaemonProcess) -> None:
    settings = load(running.config_file)
    found = list(check_round_trips(settings, works(settings)))
    assert [(each.level, each.code) for each in found] == [(Level.OK, "round-trip")] * 4, found
    assert running.says("refused|accepted") == []


def test_one_that_does_not_work_is_not_asked(running: DaemonProcess) -> None:
    settings = load(running.config_file)
    assert list(check_round_trips(settings, works(settings, "address in use"))) == []


def test_a_daemon_that_was_not_told_of_the_new_key_hangs_up(running: DaemonProcess) -> None:
    settings = load(running.config_file)
    with pytest.raises(Unanswered, match="its key may be another one"):
        ask(replace(tcp(settings), keys=(b"a new key",)))


def test_a_packet_filter_that_drops_the_group_is_an_error_with_its_fix(
    running: DaemonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_trip, "PATIENCE", 0.5)
    settings = load(running.config_file)
    assert ask(multicast(settings)) == REPLY_SUCCESS
    nft = require_program("nft", "nftables")
    rules = "table ip t { chain c { type filter hook input priority 0; udp dport 4129 drop; }; }"
    subprocess.run([nft, "-f", "-"], input=rules, text=True, check=True)
    found = next(iter(check_round_trips(settings, works(settings))))
    assert (found.level, found.code) == (Level.ERROR, "round-trip")
    assert "nobody called back" in found.text
    assert found.fix.startswith("ip route get 225.0.0.12 oif lo; nft list ruleset")


def test_a_daemon_that_waits_for_its_hypervisor_and_one_that_is_gone_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_trip, "PATIENCE", 0.5)
    with own_network():
        with DaemonProcess(
            tmp_path, 'tcp { key_file = "KEY"; port = "4129"; }', uri="qemu+unix:///x?socket=/x"
        ) as daemon:
            daemon.wait_for_line("listener=tcp ready")
            settings = load(daemon.config_file)
            (found,) = check_round_trips(settings, works(settings))
        assert (found.level, found.code) == (Level.ERROR, "round-trip")
        assert "it may wait for libvirt" in found.text
        (silent,) = check_round_trips(settings, works(settings))
    assert "Connection refused" in silent.text
    assert silent.fix.startswith("nft list ruleset; ss -ltnp | grep 4129")


def test_an_interface_without_an_address_and_an_answer_that_is_a_failure_are_errors(
    running: DaemonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(running.config_file)
    run_ip("link add bare type veth peer name barepeer")
    with pytest.raises(OSError, match="there is no interface none"):
        ask(replace(multicast(settings), interface="none"))
    with pytest.raises((OSError, Unanswered)):
        ask(replace(multicast(settings), interface="bare", family=Family.IPV6, address="ff05::3:1"))
    monkeypatch.setattr(round_trip, "ask", lambda _: REPLY_FAILURE)
    found = next(iter(check_round_trips(settings, works(settings))))
    assert (found.level, "no hypervisor can be asked" in found.text) == (Level.ERROR, True)
