"""What bash and zsh complete after `fence_virtctl`, asked by the shells themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host.ctl.exit_codes import ExitCode
from tests.components import require_program
from tests.host_agent.ctl.calls import call

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which fence_virtctl is this one."""
    program = tmp_path / "fence_virtctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fencebus_host.ctl "$@"\n')
    program.chmod(0o755)
    return f"{tmp_path}:/usr/bin:/bin"


def completed(path: str, script: str, line: str) -> list[str]:
    """What bash offers at the end of ``line``."""
    words = line.split(" ")
    program = (
        f"{script}\nCOMP_WORDS=({' '.join(word or repr('') for word in words)}); COMP_CWORD={len(words) - 1}\n"
        '_fence_virtctl_completion fence_virtctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    bash = require_program("bash", "bash")
    done = subprocess.run([bash, "-c", program], env={"PATH": path}, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    (
        ("fence_virtctl c", ["config", "completion"]),
        ("fence_virtctl config ", ["check", "convert", "diff", "export-cmd", "show", "wizard"]),
        ("fence_virtctl config show --fo", ["--format"]),
        ("fence_virtctl doctor --format ", ["text", "json"]),
    ),
)
def test_bash_completes_commands_options_and_values(path: str, capsys: Printed, line: str, offered: list[str]) -> None:
    script = call(capsys, "completion", "bash").out
    assert sorted(completed(path, script, line)) == sorted(offered)


def test_zsh_gets_a_function_that_it_can_read(tmp_path: Path, capsys: Printed) -> None:
    found = call(capsys, "completion", "zsh")
    assert found.status == ExitCode.OK
    assert found.out.startswith("#compdef fence_virtctl")
    zsh = require_program("zsh", "zsh")
    file = tmp_path / "_fence_virtctl"
    file.write_text(found.out)
    assert subprocess.run([zsh, "-n", file]).returncode == 0


def test_another_shell_is_a_usage_error(capsys: Printed) -> None:
    assert call(capsys, "completion", "csh").status == ExitCode.USAGE
