"""Which changes of a configuration take a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import ClusterSettings, Config, LibvirtSettings
from fencebus_host.config.ordered_settings import OrderedSettings
from fencebus_host.config.restarts import what_needs_a_restart
from tests.host_agent.config.conf import loaded

QMF = QmfSettings(url="amqp://a", key_files=(Path("/a"),))
BACKEND, OTHERS, HOSTS = "the backend and fence_virtd's own settings", "what discovery may take", "the list of hosts"


@pytest.fixture
def running(tmp_path: Path) -> Config:
    return replace(loaded(tmp_path, 'fence_virtd { listener = "serial"; }'), backend=QMF, candidates=(QMF,))


@pytest.mark.parametrize(
    "backend",
    (
        replace(QMF, key_files=(Path("/b"),), keys=(b"b",)),
        OrderedSettings(kind="qmf", parts=(replace(QMF, key_files=(Path("/b"),)),)),
    ),
)
def test_keys_are_renewed_by_a_reload(running: Config, backend: QmfSettings | OrderedSettings) -> None:
    if isinstance(backend, OrderedSettings):
        running = replace(running, backend=OrderedSettings(kind="qmf", parts=(QMF,)))
    assert list(what_needs_a_restart(replace(running, backend=backend), running)) == []


def test_keys_of_a_cluster_too(running: Config) -> None:
    before = replace(running, backend=ClusterSettings(kind="cpg"))
    after = replace(running, backend=ClusterSettings(kind="cpg", key_files=(Path("/b"),)))
    assert list(what_needs_a_restart(after, before)) == []


def test_whatever_else_is_different_takes_a_restart(running: Config) -> None:
    for changed, said in (
        (replace(running, backend=replace(QMF, url="amqp://b")), [BACKEND]),
        (replace(running, daemon=replace(running.daemon, debug=7)), [BACKEND]),
        (replace(running, candidates=(LibvirtSettings(),)), [OTHERS]),
        (replace(running, hosts=("a",)), [HOSTS]),
        (replace(running, groups=()), []),
    ):
        assert list(what_needs_a_restart(changed, running)) == said
