"""Provides a world of guests with lines."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.host_agent.listeners.guest_ends import LineWorld, line_world


@pytest.fixture
async def world() -> AsyncIterator[LineWorld]:
    """Guests with lines, in a folder whose name is short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="fb-") as folder:
        async with line_world(Path(folder)) as opened:
            yield opened
