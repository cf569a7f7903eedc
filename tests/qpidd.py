"""Runs a real qpidd for a test, where one is installed: on PATH, or where QPIDD says.

Debian has none, so that whoever lacks it is told why the test did not run, and nothing fails, in CI neither.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_agent.bus import Bus
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_broker.qpidd import ETC
from fencebus_broker.rendering import render
from fencebus_broker.site import Site
from fencebus_broker.site import site as described
from fencebus_schemas.bus_url import Tls
from tests.components import require_program
from tests.ports import free_tcp_port
from tests.server_process import ServerProcess

REASON = "no qpidd is installed (Debian has no package of it): put one on PATH, or say where it is in QPIDD"
HOSTS, OPERATOR, WATCHER = "host1,host2,host3", "operator", "watcher"


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
    more = ["--auth", "no", "--interface", "127.0.0.1", "--port", str(port), "--mgmt-enable", "yes"]
    with ServerProcess([*_command(program, config), *more], folder / "qpidd.log") as server:
        server.wait_for_tcp(port)
        server.wait_for_output("Loaded protocol amqp1.0")
        yield port, server


@dataclass(frozen=True, slots=True)
class RenderedQpidd:
    """One that runs on what was rendered for it."""

    site: Site
    folder: Path
    server: ServerProcess

    def url(self, user: str) -> str:
        """What was rendered for a user."""
        return (self.papers(user) / "url").read_text("utf-8").strip()

    def password(self, user: str) -> str:
        """As it was drawn."""
        return (self.folder / "private" / "passwords" / user).read_text("ascii")

    def papers(self, user: str) -> Path:
        """The folder of what was rendered for a user."""
        kind = "hosts" if user in self.site.hosts else "consoles"
        return self.folder / kind / user / "etc" / "fencebus"

    def terms(self, user: str) -> BusTerms:
        """With the certificate that was rendered for the user."""
        etc = self.papers(user)
        return BusTerms(
            self.site.domain, tls=Tls(str(etc / "ca.pem"), str(etc / f"{user}.pem"), str(etc / f"{user}.key"))
        )

    def bus(self, user: str, *only: int) -> Bus:
        """A client with all that was rendered for the user; there is one broker."""
        del only
        return bus_at(self.url(user), self.terms(user))


@contextlib.contextmanager
def rendered_qpidd(folder: Path, domain: str = "default") -> Iterator[RenderedQpidd]:
    """One on the settings that `fencebus_broker render` makes; what is changed of them is where its files lie."""
    program = require_qpidd()
    for name, package in (("saslpasswd2", "sasl2-bin"), ("certutil", "libnss3-tools"), ("openssl", "openssl")):
        require_program(name, package=package)
    port = free_tcp_port()
    site = described(HOSTS, f"127.0.0.1:{port}", operators=OPERATOR, domain=domain)
    render("qpidd", site, folder)
    etc = folder / "brokers" / "127.0.0.1" / ETC.lstrip("/")
    for path in (etc / "qpidd.conf", etc / "sasl2" / "qpidd.conf"):
        path.write_text(path.read_text("utf-8").replace(ETC, str(etc)), "utf-8")
    made = subprocess.run(["sh", etc / "make-databases"], capture_output=True, text=True, timeout=50)
    assert made.returncode == 0, made.stderr
    with ServerProcess(_command(program, etc / "qpidd.conf"), folder / "qpidd.log") as server:
        server.wait_for_tcp(port)
        yield RenderedQpidd(site, folder, server)


def _command(program: Path, config: Path) -> list[str | Path]:
    """As it is started by hand, with nothing on a disk but where its configuration is."""
    argv: list[str | Path] = [program, "--config", config, "--no-data-dir", "--pid-dir", config.parent]
    argv += ["--log-enable", "info+", "--log-to-stderr", "yes"]
    if modules := os.environ.get("QPIDD_MODULES"):
        argv += ["--module-dir", modules]
    return argv
