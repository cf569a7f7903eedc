"""Provides a host in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fencebus_host.routers import local
from tests.host_agent.house import House, opened


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One hypervisor with three running VMs."""
    async with opened(tmp_path) as one:
        yield one


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a living VM the router waits for the other hypervisors only briefly."""
    monkeypatch.setattr(local, "PATIENCE_WITH_A_LIFE", 0.05)
