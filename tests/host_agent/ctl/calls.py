"""Calls fence_virtctl as a shell would, in this process: arguments in, exit status and what was printed out."""

from __future__ import annotations

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
