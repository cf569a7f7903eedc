"""Runs every test that asks for a ``world`` on each hypervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests import hypervisors
from tests.amqp1_site import QpiddBroker
from tests.hypervisors import World
from tests.libvirtd import Libvirtd
from tests.qpidd import require_qpidd, served_qpidd

Opener = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[World, bool | None]]


def _daemon(request: pytest.FixtureRequest) -> Libvirtd:
    daemon = request.getfixturevalue("libvirtd")
    assert isinstance(daemon, Libvirtd)
    return daemon


OPENERS: dict[str, Opener] = {
    "memory": lambda _request, _folder: hypervisors.memory_world(),
    "test-driver": lambda _request, folder: hypervisors.driver_world(folder),
    "qemu": lambda request, _folder: hypervisors.qemu_world(_daemon(request)),
}

MARKING: dict[str, Opener] = {
    "memory": lambda _request, _folder: hypervisors.memory_world(),
    "test-driver": lambda _request, folder: hypervisors.driver_world(folder, marks=True),
    "qemu": lambda request, _folder: hypervisors.qemu_world(_daemon(request), marks=True),
}


@pytest.fixture(params=OPENERS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """One hypervisor after the other."""
    async with OPENERS[request.param](request, tmp_path) as opened:
        yield opened


@pytest.fixture(params=MARKING)
async def sighted(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """One hypervisor after the other, as on a host among others: lives have marks."""
    async with MARKING[request.param](request, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def qpidd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QpiddBroker]:
    """A real qpidd, where there is one."""
    with served_qpidd(require_qpidd(), tmp_path_factory.mktemp("qpidd")) as (port, server):
        yield QpiddBroker(port, server)
