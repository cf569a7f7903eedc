"""The file that keeps two daemons of one kind apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host import pidfile
from fencebus_host.pidfile import AlreadyRunning, PidFile

HOLD = """
import sys, pathlib
from fencebus_host.pidfile import PidFile
held = PidFile(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
held.close()
"""


def _holder(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the file until its input ends; record locks do not part threads of one process."""
    argv = [sys.executable, "-c", HOLD, str(path)]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_it_holds_the_process_id_without_a_newline_and_is_removed_at_the_end(tmp_path: Path) -> None:
    held = PidFile(tmp_path / "pid")
    assert (tmp_path / "pid").read_bytes() == str(os.getpid()).encode()
    held.close()
    assert not (tmp_path / "pid").exists()


def test_a_longer_id_of_a_dead_process_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "pid").write_bytes(b"99999999999\n")
    held = PidFile(tmp_path / "pid")
    assert (tmp_path / "pid").read_bytes() == str(os.getpid()).encode()
    held.close()


def test_a_file_that_another_process_holds_is_refused_and_names_it(tmp_path: Path) -> None:
    with _holder(tmp_path / "pid") as holder:
        with pytest.raises(AlreadyRunning, match=f"already running as process {holder.pid} .*another instance needs"):
            PidFile(tmp_path / "pid")
        assert holder.stdin is not None
        holder.stdin.close()
        assert holder.wait(30) == 0
    PidFile(tmp_path / "pid").close()


def test_a_file_that_its_owner_removed_meanwhile_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, locked, opened = tmp_path / "pid", pidfile._locked, list[int]()

    def removed_under_the_first_lock(name: Path) -> int:
        opened.append(locked(name))
        if len(opened) == 1:
            name.unlink()
        return opened[-1]

    monkeypatch.setattr(pidfile, "_locked", removed_under_the_first_lock)
    held = PidFile(path)
    assert path.read_bytes() == str(os.getpid()).encode()
    assert len(opened) == 2
    held.close()
