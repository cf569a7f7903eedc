"""The help of every command: on one screen, with an example."""

from __future__ import annotations

from collections.abc import Iterator

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
    assert any(f"fence_virtctl {' '.join(path)}" in line for line in lines[1:])
