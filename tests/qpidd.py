"""Runs a real qpidd for a test, where one is installed: on PATH, or where QPIDD says.

Debian has none, so that whoever lacks it is told why the test did not run, and nothing fails, in CI neither.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_tcp_port
from tests.server_process import ServerProcess

REASON = "no qpidd is installed (Debian has no package of it): put one on PATH, or say where it is in QPIDD"


def require_qpidd() -> Path:
    """Return the program; skip the test if there is none."""
    found = os.environ.get("QPIDD") or shutil.which("qpidd")
    if not found or not Path(found).is_file():
        pytest.skip(REASON)
    return Path(found)


@contextlib.contextmanager
def running_qpidd(program: Path, folder: Path) -> Iterator[str]:
    """HOST:PORT of one that asks nobody who he is, without anything on a disk but ``folder``."""
    with served_qpidd(program, folder) as (port, _):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def served_qpidd(program: Path, folder: Path) -> Iterator[tuple[int, ServerProcess]]:
    """The same, with its process."""
    port = free_tcp_port()
    config = folder / "qpidd.conf"
    config.write_text("# an empty file would be refused\n")
    argv: list[str | Path] = [program, "--no-data-dir", "--auth", "no", "--interface", "127.0.0.1", "--port", str(port)]
    argv += ["--config", config, "--pid-dir", folder, "--mgmt-enable", "yes", "--log-enable", "info+"]
    if modules := os.environ.get("QPIDD_MODULES"):
        argv += ["--module-dir", modules]
    with ServerProcess(argv, folder / "qpidd.log") as server:
        server.wait_for_tcp(port)
        server.wait_for_output("Loaded protocol amqp1.0")
        yield port, server
