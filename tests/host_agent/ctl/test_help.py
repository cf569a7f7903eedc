"""The help of every command: on one screen, with an example; and what none of them waits for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fencebus_host.ctl.program import commands
from tests.host_agent.ctl.calls import call

SCREEN = 24
"""Lines of the smallest terminal that anybody uses."""


def leaves(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command that does something."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", leaves(commands), ids=" ".join)
def test_it_fits_a_screen_and_has_an_example(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = call(capsys, *path, "--help").out.splitlines()
    assert len(lines) <= SCREEN, "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert any(f"fence_virtctl {' '.join(path)}" in line for line in lines[1:])


IMPORTED = """
import sys, click, pathlib
from fencebus_host.ctl.program import COMMANDS, commands
from fencebus_host.ctl.status_source import socket_of
socket_of(pathlib.Path(sys.argv[1]))
for name in ("status", "history", "explain", "events", "fence", "pause"):
    assert commands.get_command(click.Context(commands), name)
print(*sorted({each.split(".")[0] for each in sys.modules} | {each for each in sys.modules if "fencebus" in each}))
"""


def test_whoever_asks_the_daemon_waits_for_no_configuration_and_programs_not_for_tables(tmp_path: Path) -> None:
    """A quarter of a second is what a warm status may take; the configuration's modules alone take half of that."""
    file = tmp_path / "conf"
    file.write_text(f'fence_virtd {{ state_dir = "{tmp_path}"; }}', encoding="utf-8")
    (tmp_path / "control.sock").touch()
    command = [sys.executable, "-c", IMPORTED, str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "lark", "libvirt", "asyncio", "aiohttp", "fencebus_host.config"} & set(found)
    assert not [name for name in found if name.startswith("fencebus_agent")]
