"""What the tests of the drivers share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests import hypervisors
from tests.hypervisors import LibvirtWorld
from tests.libvirtd import Libvirtd


@pytest.fixture
async def qemu(libvirtd: Libvirtd) -> AsyncIterator[LibvirtWorld]:
    """Our driver on real QEMU."""
    async with hypervisors.qemu_world(libvirtd) as world:
        yield world
