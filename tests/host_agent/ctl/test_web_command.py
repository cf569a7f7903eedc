"""`fence_virtctl web` in front of a real daemon: it prints where it serves, and a real fence appears there."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas.model import Action
from tests.chromium import browser, tab
from tests.components import CHECKOUT
from tests.daemon_process import DaemonProcess
from tests.host_agent.ctl.calls import call
from tests.ports import free_tcp_port
from tests.server_process import ServerProcess

PAGE = CHECKOUT / "docs" / "web.md"


pytestmark = pytest.mark.xdist_group("chromium")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """One for all tests here."""
    with DaemonProcess(tmp_path_factory.mktemp("daemon")) as running:
        yield running.wait_ready()


def served(daemon: DaemonProcess, folder: Path, *options: str) -> ServerProcess:
    """The command, serving."""
    command = [sys.executable, "-m", "fencebus_host.ctl", "web", "-f", str(daemon.config_file), *options]
    return ServerProcess(command, folder / "web.log")


async def test_a_real_fence_appears_on_the_page_of_a_real_daemon(daemon: DaemonProcess, tmp_path: Path) -> None:
    with served(daemon, tmp_path, "--port", "0") as web, browser(tmp_path) as chromium:
        web.wait_for_output("http://")
        async with tab(chromium, web.output.split()[0]) as page:
            await page.until("document.querySelectorAll('#rows .running').length === 2")
            reply = await asyncio.to_thread(daemon.ask, Action.OFF, "node2")
            assert reply.code == 0
            await page.until("document.querySelector('#fences .done') && document.querySelector('#rows .off')")
            assert "proven-off" in str(await page.look("document.querySelector('#fences').innerText"))
            assert page.complaints() == []


def test_the_commands_of_the_page_serve_until_they_are_interrupted(
    daemon: DaemonProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them at once, as each takes a second to start; a port that is taken is an error that says so."""
    lines = re.findall(r"^    fence_virtctl web(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    commands = {free_tcp_port(): re.sub(r"--listen \S+", "--listen 0.0.0.0", line.split(" #")[0]) for line in lines}
    assert len(commands) == 3
    with ExitStack() as stack:
        serving: list[ServerProcess] = []
        for port, line in commands.items():
            words = line.replace("@broker.example.org", f"@127.0.0.1:{free_tcp_port()}")  # nobody is there yet
            words = re.sub(r"--port \d+", "", words) + f" --port {port}"
            (tmp_path / str(port)).mkdir()
            serving.append(stack.enter_context(served(daemon, tmp_path / str(port), *words.split())))
        for web, (port, line) in zip(serving, commands.items(), strict=True):
            web.wait_for_output("http://")
            assert ("whoever reaches 0.0.0.0 can read" in web.output) is ("--listen" in line)
            found = call(capsys, "web", "-f", daemon.config_file, "--port", str(port))
            assert (found.status, "address already in use" in found.err) == (ExitCode.FAILED, True)
            assert web.stop(signal.SIGINT) == 0
