"""What the service manager is told, and when it is left alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host.systemd import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        yield manager


def test_states_arrive_as_one_message(tmp_path: Path, systemd: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("READY=1", "STATUS=working: everything")
    assert systemd.recv(1000) == b"READY=1\nSTATUS=working: everything"


def test_an_abstract_socket_is_understood(tmp_path: Path) -> None:
    name = f"fencebus-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(30)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1")
        assert manager.recv(1000) == b"READY=1"


def test_a_line_break_in_a_text_does_not_become_a_state(tmp_path: Path, systemd: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("STATUS=trouble:\nREADY=1")
    assert systemd.recv(1000) == b"STATUS=trouble: READY=1"


def test_without_a_service_manager_nothing_happens() -> None:
    Notifier({}).tell("READY=1")


def test_a_service_manager_that_is_gone_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")
    assert "the service manager cannot be told" in caplog.text


@pytest.mark.parametrize(
    ("environment", "seconds"),
    (
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ),
)
def test_signs_of_life_are_sent_only_if_they_are_asked_of_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert Notifier(environment, pid=7).watchdog_seconds == seconds
