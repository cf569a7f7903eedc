"""Where log lines go."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host import logs


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers, root.level = handlers, level


def test_in_the_foreground_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=0)
    logging.getLogger("fencebus_host.daemon").info("a line")
    logging.getLogger("fencebus_host.daemon").debug("a detail")
    said = capsys.readouterr().err
    assert said.endswith(" fence_virtd INFO a line\n")
    assert "a detail" not in said


def test_no_word_from_outside_begins_a_line_or_is_obeyed_by_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=0)
    forged = "x\n2026-11-23 fence_virtd INFO verdict request=1 ok=yes\r\x1b[2J"
    logging.getLogger("fencebus_host.daemon").warning("refused %s for user 'c'", forged)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" fence_virtd WARNING refused x")
    assert second == "    2026-11-23 fence_virtd INFO verdict request=1 ok=yes\\r\\x1b[2J for user 'c'"


def test_a_defect_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=0)
    try:
        raise ZeroDivisionError("nothing")
    except ZeroDivisionError:
        logging.getLogger("fencebus_host.daemon").exception("a defect")
    told = capsys.readouterr().err
    assert "ERROR a defect\nTraceback" in told
    assert told.endswith("\nZeroDivisionError: nothing\n")


def test_debug_shows_details_of_ours_and_none_of_asyncios(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=1)
    logging.getLogger("fencebus_host.daemon").debug("a detail")
    logging.getLogger("asyncio").debug("a selector")
    said = capsys.readouterr().err
    assert "a detail" in said
    assert "a selector" not in said


def test_in_the_background_lines_go_to_the_system_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SYSLOG_SOCKET", tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(30)
        logs.set_up("fence_virtd", foreground=False, debug=0)
        logging.getLogger("fencebus_host.daemon").warning("a line")
        received = syslog.recv(1000)
    assert received.startswith(b"<28>fence_virtd[")  # facility daemon, level warning
    assert b"]: a line" in received


def test_in_the_background_without_a_system_log_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SYSLOG_SOCKET", tmp_path / "log")
    logs.set_up("fence_virtd", foreground=False, debug=0)
    logging.getLogger("fencebus_host.daemon").warning("a line")
