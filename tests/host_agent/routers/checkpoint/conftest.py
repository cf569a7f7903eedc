"""Three nodes with a real corosync, shared by all tests of this folder, which leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corosync import Cluster, cluster
from tests.corosync_columns import OurDaemons, World, ours, world


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A quorate cluster."""
    folder: Path = tmp_path_factory.mktemp("corosync")
    with cluster(folder) as site:
        yield site


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, OurDaemons]]:
    """Three more, each with a VM of QEMU; for the tests of the xdist group "corosync-qemu"."""
    folder: Path = tmp_path_factory.mktemp("columns")
    with world(folder) as made, ours(made, folder) as side:
        yield made, side
