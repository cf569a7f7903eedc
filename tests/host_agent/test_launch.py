"""The daemon's entry point, with its libraries and without."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fencebus_host import daemon, launch
from tests.components import require_module


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "LIBRARIES", ("json", "no_such_library"))
    assert launch.main() == 1
    said = capsys.readouterr().err
    assert "not installed: no_such_library;" in said
    assert "fencebus[host]" in said


def test_with_its_libraries_the_daemon_runs_and_its_exit_status_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in launch.LIBRARIES:
        require_module(name, extra="host")
    monkeypatch.setattr(daemon, "main", lambda: 7)
    assert launch.main() == 7


def test_what_was_imported_is_not_looked_through_for_garbage_and_what_comes_later_is() -> None:
    for name in launch.LIBRARIES:
        require_module(name, extra="host")
    code = (
        "import gc, sys; from fencebus_host import launch; sys.argv = ['fence_virtd', '-h']; launch.main(); "
        "sys.exit(not (gc.isenabled() and gc.get_freeze_count() > 10_000))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=30)
