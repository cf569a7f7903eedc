"""Provides what every test may ask for by name: free ports, background programs that end with the test, key files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import ports
from tests.server_process import ServerProcess

if TYPE_CHECKING:
    from tests.libvirtd import Libvirtd
    from tests.rabbitmq import RabbitMq

StartProgram = Callable[..., ServerProcess]

TOGETHER = ("guests",)
"""Folders whose tests run in one process: their guests take long to boot."""

BROKER_SECONDS = 180
"""For each test of the group ``rabbitmq``: whichever is first starts the node, a minute's work on a busy machine."""


def pytest_configure() -> None:
    """Have Ctrl-C reach what the tests start: a shell's background jobs ignore it, and so does whatever they start.

    And no test fails for what a busy machine alone brings about.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _leave_hypothesis_time()


def _leave_hypothesis_time() -> None:
    """Elsewhere than in CI it fails an example of more than 0.2 s, as any may become beside other tests."""
    if settings.get_current_profile_name() == "default":
        unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.register_profile("unhurried", unhurried)
        settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares something costly, when several processes share the tests (pytest -n)."""
    for item in items:
        if (group_of := item.get_closest_marker("xdist_group")) is not None:  # it says itself with whom
            if group_of.args == ("rabbitmq",) and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(BROKER_SECONDS))
            continue
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        group = folder if folder in TOGETHER else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def tcp_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses."""
    return ports.free_tcp_port()


@pytest.fixture
def udp_port() -> int:
    """A UDP port on 127.0.0.1 that nobody uses."""
    return ports.free_udp_port()


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[StartProgram]:
    """Starts programs in the background: `start_program([argv...], env=..., cwd=...)`; all end with the test."""
    with ExitStack() as running:
        count = 0

        def start(
            argv: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
        ) -> ServerProcess:
            nonlocal count
            count += 1
            log = tmp_path / f"program{count}.log"
            return running.enter_context(ServerProcess(argv, log, env, cwd))

        yield start


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file as an administrator would make it: 4096 bytes, readable by its owner alone."""
    path = tmp_path / "fence_xvm.key"
    path.touch(mode=0o600)
    path.write_bytes(bytes(range(256)) * 16)
    return path


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """A real libvirtd with QEMU, one for the whole run; a test discards the guests that it makes."""
    from tests.libvirtd import running_libvirtd

    with running_libvirtd() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """A real RabbitMQ, one for the whole run; its tests are in the xdist group of that name, and leave it as it was."""
    from tests.managers.certificates import made
    from tests.rabbitmq import running_rabbitmq

    folder = tmp_path_factory.mktemp("rabbitmq")
    with running_rabbitmq(folder / "node", made(folder / "certificates").ca.parent) as broker:
        yield broker
