"""A process that goes to the background, and its starter, which waits."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from fencebus_host.background import Starter

PROGRAM = """
import os, sys, time
from fencebus_host.background import go_to_background
starter = go_to_background()
with open(sys.argv[1], "w") as said:
    said.write(f"{os.getsid(0) != os.getpid()} {os.getcwd()} {os.readlink('/proc/self/fd/1')}")
time.sleep(0.3)
if sys.argv[2] == "serves":
    starter.release()
"""


@pytest.mark.parametrize(("end", "status"), (("serves", 0), ("fails", 1)))
def test_the_starter_ends_when_the_daemon_serves_or_has_failed(tmp_path: object, end: str, status: int) -> None:
    began = time.monotonic()
    said = f"{tmp_path}/said"
    ended = subprocess.run([sys.executable, "-c", PROGRAM, said, end], capture_output=True, text=True, timeout=60)
    assert ended.returncode == status
    assert time.monotonic() - began >= 0.3
    assert ("did not start" in ended.stderr) == (end == "fails")
    with open(said, encoding="ascii") as file:
        # No session leader, so that it never gets a terminal; not in a folder that somebody wants to unmount.
        assert file.read() == "True / /dev/null"


def test_in_the_foreground_there_is_nobody_to_release() -> None:
    Starter(-1).release()
