"""The page about watching: its commands work, and its tables have everything that there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.config.model import LogFormat
from fencebus_host.control_view import CONFLICT, INCOMING, SILENT_OWNER, UNKNOWN
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.status_text import router_line
from tests.components import CHECKOUT
from tests.daemon_process import DaemonProcess
from tests.documents import Page, commands, configurations, rows
from tests.host_agent.ctl.calls import call
from tests.host_agent.ctl.watched import watched
from tests.schemas.statuses import ROUTERS

PAGE = Page("docs/watching.md")
HOST = CHECKOUT / "host_agent" / "fencebus_host"
ENDS = {ExitCode.OK, ExitCode.WARNING, ExitCode.BROKEN}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with the VMs of the page."""
    with watched(tmp_path_factory.mktemp("page")) as running:
        yield running


def test_every_command_on_the_page_does_what_it_says(
    daemon: DaemonProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call(capsys, "fence", "-f", daemon.config_file, "node1", "--yes")
    call(capsys, "fence", "-f", daemon.config_file, "node1", "--action", "on", "--yes")
    typed = [line for line in commands(PAGE.text) if line.startswith("fence_virtctl ") and "--watch" not in line]
    assert len(typed) >= 20
    for line in typed:
        words = shlex.split(line.partition(" > ")[0])[1:]
        done = call(capsys, words[0], "-f", daemon.config_file, *words[1:])
        assert done.status in ENDS, (line, done)
        assert done.out.strip() or "--problems" in line, line


def test_the_page_has_every_code_of_what_is_wrong_and_every_mark() -> None:
    given = set(re.findall(r'Problem\(\s*"([a-z-]+)"', (HOST / "control_health.py").read_text()))
    assert len(given) >= 6
    assert given == {row[0] for row in rows(PAGE.section("How it stands"))}
    for mark in (CONFLICT, INCOMING, SILENT_OWNER, UNKNOWN):
        assert f"`{mark}`" in PAGE.text


def test_the_lines_of_routers_are_those_that_status_prints() -> None:
    qmf, checkpoint = ROUTERS
    well = (replace(qmf, synced=True), replace(checkpoint, quorate=True))
    for router in well:
        assert f"  {router_line(router).plain}\n" in PAGE.section("How it stands")


def test_the_page_has_every_question_and_every_error_of_the_control_socket() -> None:
    asked = {row[0] for row in rows(PAGE.section("For programs"))}
    files = [HOST / f"control_{name}.py" for name in ("desk", "acts")]
    known = set(re.findall(r'^            "([a-z-]+)": ', files[0].read_text(), re.MULTILINE)) | {"events"}
    assert known <= asked
    source = "".join(file.read_text() for file in [*files, HOST / "control.py"])
    codes = set(re.findall(r'Declined\(\s*"([a-z-]+)"', source))
    for code in codes | {"syntax", "version", "unknown"}:
        assert f"`{code}`" in PAGE.section("For programs"), code


def test_the_configuration_on_the_page_makes_lines_of_json() -> None:
    (text,) = configurations(PAGE.text)
    assert load_text(text, "page", read_keys=False).daemon.log_format is LogFormat.JSON
