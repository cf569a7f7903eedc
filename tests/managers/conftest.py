"""Provides the stand-in's certificates, and stand-ins that end with their test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.components import require_module
from tests.managers.certificates import Certificates, made
from tests.managers.site import world
from tests.managers.stand_in import StandIn


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA and a server's certificate."""
    require_module("aiohttp", extra="ovirt")
    return made(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def engine(certificates: Certificates) -> AsyncIterator[StandIn]:
    """An engine that speaks API version 4."""
    async with StandIn(world(), certificates) as stand_in:
        yield stand_in


@pytest.fixture(params=[(4,), (3,)], ids=["v4", "v3"])
async def either(request: pytest.FixtureRequest, certificates: Certificates) -> AsyncIterator[StandIn]:
    """An engine of each version."""
    async with StandIn(world(), certificates, versions=request.param) as stand_in:
        yield stand_in


@pytest.fixture
async def old_engine(certificates: Certificates) -> AsyncIterator[StandIn]:
    """A RHEV-M 3.x, which speaks API version 3 alone."""
    async with StandIn(world(), certificates, versions=(3,)) as stand_in:
        yield stand_in
