"""Calls fence_virtctl as a shell would, in this process: arguments in, exit status and what was printed out."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from fencebus_host.ctl.program import run


@dataclass(frozen=True)
class Called:
    """What came of one call."""

    status: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path, answers: str = "") -> Called:
    """Run fence_virtctl with ``arguments``; ``answers`` are typed in."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdin", StringIO(answers))
        status = run([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return Called(status, printed.out, printed.err)


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    """fence_virtctl as a process of its own, whose output is read; it tells where it stands when it is aborted."""
    command = [sys.executable, "-X", "faulthandler", "-m", "fencebus_host.ctl", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ended_by_ctrl_c(program: subprocess.Popen[str]) -> int:
    """The exit status; a program that goes on is aborted, so that the test's output says what it was doing."""
    program.send_signal(signal.SIGINT)
    try:
        return program.wait(30)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGABRT)
        return program.wait()
