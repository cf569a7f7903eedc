"""Runs every test that asks for a ``world`` on each hypervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests import hypervisors
from tests.hypervisors import World
from tests.libvirtd import Libvirtd

Opener = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[World, bool | None]]


def _qemu(request: pytest.FixtureRequest, _folder: Path) -> AbstractAsyncContextManager[World, bool | None]:
    daemon = request.getfixturevalue("libvirtd")
    assert isinstance(daemon, Libvirtd)
    return hypervisors.qemu_world(daemon)


OPENERS: dict[str, Opener] = {
    "memory": lambda _request, _folder: hypervisors.memory_world(),
    "test-driver": lambda _request, folder: hypervisors.driver_world(folder),
    "qemu": _qemu,
}


@pytest.fixture(params=OPENERS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """One hypervisor after the other."""
    async with OPENERS[request.param](request, tmp_path) as opened:
        yield opened
