"""Runs rendered RabbitMQ brokers, a cluster and a federation, each once for all its tests: see their xdist groups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rabbitmq_rendered import MODERN, Brokers, running_brokers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """Three nodes."""
    with running_brokers(tmp_path_factory.mktemp("cluster"), 3, federated=False) as brokers:
        yield brokers


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """Two brokers that pass on to each other what is bound there, each host at one of them; some speak AMQP 1.0."""
    with running_brokers(tmp_path_factory.mktemp("federation"), 2, federated=True, amqp1=MODERN) as brokers:
        yield brokers
