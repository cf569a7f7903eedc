"""The daemon's entry point, with its libraries and without."""

from __future__ import annotations

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
