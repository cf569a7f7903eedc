"""Provides runs of the client inside the test's own process, and interpreters to run it outside."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fencebus_guest.main import main

KEY = b"0123456789abcdef"


class Run(NamedTuple):
    """What one run of the client left."""

    status: int
    output: str
    errors: str


RunClient = Callable[..., Run]


@pytest.fixture
def run_client(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> RunClient:
    """Runs the client: `run_client("fence_xvm", "-o", "status")`, or `run_client("fence_virt", stdin="action=off")`."""

    def run(program: str, *arguments: str, stdin: str = "") -> Run:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsysbinary.readouterr()
        status = main([program, *arguments])
        output, errors = capsysbinary.readouterr()
        return Run(status, output.decode("utf-8", "surrogateescape"), errors.decode())

    return run


@pytest.fixture
def key(tmp_path: Path) -> str:
    """The path of a file with KEY."""
    path = tmp_path / "guest.key"
    path.write_bytes(KEY)
    return str(path)
