"""Three nodes with a real corosync, shared by all tests of this folder, which leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corosync import Cluster, cluster


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A quorate cluster."""
    folder: Path = tmp_path_factory.mktemp("corosync")
    with cluster(folder) as site:
        yield site
