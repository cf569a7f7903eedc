"""Provides a host in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.host_agent.house import House, opened


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One hypervisor with three running VMs."""
    async with opened(tmp_path) as one:
        yield one
