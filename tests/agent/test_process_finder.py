"""Whether libvirt's processes can be seen from where the daemon runs."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_agent.libvirt_driver.processes import ProcessFinder
from fencebus_agent.process_watch import has_ended
from tests.components import CHECKOUT, require_program, require_root

QUESTION = """\
import sys
from pathlib import Path
from fencebus_agent.libvirt_driver.processes import ProcessFinder
print(ProcessFinder(Path("/nonexistent"), Path(sys.argv[1])).sees)
"""


@pytest.fixture
def libvirt_socket(tmp_path: Path) -> Iterator[Path]:
    """A socket on which somebody of this process namespace listens."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield path


def test_from_a_process_namespace_of_its_own_a_daemon_sees_no_process_of_libvirt(libvirt_socket: Path) -> None:
    require_root()
    unshare = require_program("unshare", "util-linux")
    argv: list[str | Path] = [
        unshare,
        "--pid",
        "--fork",
        "--mount-proc",
        sys.executable,
        "-c",
        QUESTION,
        libvirt_socket,
    ]
    inside = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=CHECKOUT)
    assert inside.stdout == "False\n"
    assert ProcessFinder(Path("/nonexistent"), libvirt_socket).sees


def test_a_process_that_was_not_found_is_hidden_only_if_it_lives_or_none_could_be_seen(
    libvirt_socket: Path, tmp_path: Path
) -> None:
    finder = ProcessFinder(tmp_path, libvirt_socket)
    assert not finder.may_hide("vm1")  # libvirt has taken its pid file away
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / "vm1.pid").write_text(f"{child.pid}\n")
    assert finder.may_hide("vm1")  # it lives, and carries no UUID
    child.kill()
    child.communicate()
    assert not finder.may_hide("vm1")


def test_a_process_that_nobody_has_reaped_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    while not has_ended(child.pid):
        pass
    assert Path(f"/proc/{child.pid}").exists()
    child.wait()
    child.stdout.close()
    assert has_ended(child.pid)
