"""What the tests themselves stand on: missing components, background programs, ports."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import components, ports
from tests.conftest import StartProgram
from tests.elapsed import Stopwatch
from tests.server_process import NotReadyError, ServerProcess


def test_a_missing_program_is_a_skip_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install no-such-package"):
        components.require_program("no-such-program", package="no-such-package")


def test_a_missing_program_is_a_failure_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing"):
        components.require_program("no-such-program", package="no-such-package")


def test_a_missing_file_and_a_missing_module_are_failures_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        components.require_file("/no/such/file", package="no-such-package")
    with pytest.raises(pytest.fail.Exception, match=r"fencebus\[none\]"):
        components.require_module("no_such_module", extra="none")


def test_what_is_there_is_returned() -> None:
    assert components.require_program("sh", package="dash").name == "sh"
    assert components.require_file("/etc/passwd", package="base-passwd") == Path("/etc/passwd")
    assert components.require_module("json", extra="none").__name__ == "json"


def test_a_program_in_the_background_is_seen_ready_and_ends_by_its_pid(start_program: StartProgram) -> None:
    code = (
        "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(7)); print('ready', flush=True); signal.pause()"
    )
    server = start_program([sys.executable, "-c", code])
    server.wait_for_output("ready")
    assert server.running
    assert server.stop() == 7
    assert not server.running


def test_a_program_that_listens_is_seen_by_its_port(start_program: StartProgram, tcp_port: int) -> None:
    server = start_program([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(tcp_port)])
    server.wait_for_tcp(tcp_port)
    assert server.running


def test_a_program_that_ends_early_shows_what_it_said(start_program: StartProgram) -> None:
    server = start_program([sys.executable, "-c", "raise SystemExit('no key')"])
    with pytest.raises(NotReadyError, match="no key"):
        server.wait_for_output("ready")


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    with ServerProcess([sys.executable, "-c", code], tmp_path / "log") as server:
        server.wait_for_output("ready")
        assert server.stop(grace=0.2) == -signal.SIGKILL


@pytest.mark.parametrize("host", ("127.0.0.1", "::1"))
def test_free_ports_are_unprivileged(host: str) -> None:
    assert ports.free_tcp_port(host) > 1023
    assert ports.free_udp_port(host) > 1023


def test_two_processes_are_never_given_the_same_port() -> None:
    code = "from tests import ports; print(*(ports.free_tcp_port() for _ in range(3)))"
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    ours = {ports.free_tcp_port() for _ in range(ports.BLOCK)}
    assert ours.isdisjoint(int(port) for port in other.stdout.split())


def test_what_others_take_from_a_machine_is_no_part_of_what_took_long() -> None:
    watch = Stopwatch()
    assert watch.undisturbed <= watch.seconds
    watch.stop()
    stopped = (watch.seconds, watch.undisturbed)
    assert (watch.seconds, watch.undisturbed) == stopped
