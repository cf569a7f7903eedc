"""`fence_virtctl web` in front of a real daemon: it prints where it serves, and a real fence appears there."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
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


def served(daemon: DaemonProcess, folder: Path, *options: str) -> ServerProcess:
    """The command, serving."""
    command = [sys.executable, "-m", "fencebus_host.ctl", "web", "-f", str(daemon.config_file), *options]
    return ServerProcess(command, folder / "web.log")


@pytest.mark.xdist_group("chromium")
async def test_a_real_fence_appears_on_the_page_of_a_real_daemon(tmp_path: Path) -> None:
    with (
        browser(tmp_path) as chromium,
        DaemonProcess(tmp_path) as daemon,
        served(daemon.wait_ready(), tmp_path, "--port", "0") as web,
    ):
        web.wait_for_output("http://")
        async with tab(chromium, web.output.split()[0]) as page:
            await page.until("document.querySelectorAll('#rows .running').length === 2")
            reply = await asyncio.to_thread(daemon.ask, Action.OFF, "node2")
            assert reply.code == 0
            await page.until("document.querySelector('#fences .done') && document.querySelector('#rows .off')")
            assert "proven-off" in str(await page.look("document.querySelector('#fences').innerText"))
            assert page.complaints() == []


def test_the_commands_of_the_page_serve_until_they_are_interrupted(tmp_path: Path) -> None:
    commands = re.findall(r"^    fence_virtctl web(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 3
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        for number, options in enumerate(commands):
            folder = tmp_path / str(number)
            folder.mkdir()
            words = re.sub(r"--listen \S+", "--listen 0.0.0.0", options.split(" #")[0])
            words = words.replace("@broker.example.org", f"@127.0.0.1:{free_tcp_port()}")  # nobody is there yet
            words = re.sub(r"--port \d+", "", words) + f" --port {free_tcp_port()}"
            with served(daemon, folder, *words.split()) as web:
                web.wait_for_output("http://")
                assert ("whoever reaches 0.0.0.0 can read" in web.output) is ("--listen" in words)
                assert web.stop(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_an_error_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_tcp_port()
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        with served(daemon, tmp_path, "--port", str(port)) as web:
            web.wait_for_output("http://")
            found = call(capsys, "web", "-f", daemon.config_file, "--port", str(port))
    assert found.status == ExitCode.FAILED
    assert "address already in use" in found.err
