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
from tests.agent.qpid.released import require_released
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
    """One that runs on what was rendered for it, or several that fetch from each other."""

    site: Site
    folder: Path
    servers: tuple[ServerProcess, ...]

    def url(self, user: str, *only: int) -> str:
        """What was rendered for a user; of certain brokers only, if their numbers are given."""
        urls = (self.papers(user) / "url").read_text("utf-8").strip()
        wanted = [self.site.brokers[each].location for each in only] or [""]
        return ",".join(url for place in wanted for url in urls.split(",") if url.endswith(place))

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
        tls = Tls(str(etc / "ca.pem"), str(etc / f"{user}.pem"), str(etc / f"{user}.key"))
        return BusTerms(self.site.domain, tls=tls)

    def bus(self, user: str, *only: int) -> Bus:
        """A client with all that was rendered for the user; of certain brokers only, if their numbers are given."""
        return bus_at(self.url(user, *only), self.terms(user))


@contextlib.contextmanager
def rendered_qpidd(folder: Path, domain: str = "default", *, federated: bool = False) -> Iterator[RenderedQpidd]:
    """One on the settings that `fencebus_broker render` makes, or two; what is changed is where their files lie."""
    program = require_qpidd()
    for name, package in (("saslpasswd2", "sasl2-bin"), ("certutil", "libnss3-tools"), ("openssl", "openssl")):
        require_program(name, package=package)
    route = _qpid_route(folder) if federated else None
    places = [f"{address}:{free_tcp_port()}" for address in ("127.0.0.1", "localhost")[: 1 + federated]]
    site = described(HOSTS, ",".join(places), federated=federated, operators=OPERATOR, domain=domain)
    render("qpidd", site, folder)
    folders = [folder / "brokers" / broker.address / ETC.lstrip("/") for broker in site.brokers]
    with contextlib.ExitStack() as stack:
        servers = []
        for etc, broker in zip(folders, site.brokers, strict=True):
            _settle(etc)
            server = ServerProcess(_command(program, etc / "qpidd.conf"), folder / f"{broker.address}.log")
            servers.append(stack.enter_context(server))
            server.wait_for_tcp(broker.port)
        for etc in folders if route else ():
            _run(etc / "make-routes", {"PATH": f"{route}:{os.environ['PATH']}"})
        yield RenderedQpidd(site, folder, tuple(servers))


def _settle(etc: Path) -> None:
    """Where the files of one broker are; and its databases."""
    for path in filter(Path.exists, (etc / name for name in ("qpidd.conf", "sasl2/qpidd.conf", "make-routes"))):
        path.write_text(path.read_text("utf-8").replace(ETC, str(etc)), "utf-8")
    conf = etc / "qpidd.conf"
    if "interface=" not in conf.read_text("utf-8"):  # as for one that is reached by name
        with conf.open("a") as more:
            more.write("interface=127.0.0.1\n")
    _run(etc / "make-databases", {})


def _run(script: Path, env: dict[str, str]) -> None:
    done = subprocess.run(["sh", script], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
    assert done.returncode == 0, done.stdout + done.stderr


def _qpid_route(folder: Path) -> Path:
    """A folder with the released program, as a shell finds it."""
    released, found = require_released(), folder / "bin"
    found.mkdir()
    program = found / "qpid-route"
    variables = " ".join(f"{name}='{value}'" for name, value in released.environment.items())
    program.write_text(f'#!/bin/sh\n{variables} exec {released.python} {released.program("qpid-route")} "$@"\n')
    program.chmod(0o700)
    return found


def _command(program: Path, config: Path) -> list[str | Path]:
    """As it is started by hand, with nothing on a disk but where its configuration is."""
    argv: list[str | Path] = [program, "--config", config, "--no-data-dir", "--pid-dir", config.parent]
    argv += ["--log-enable", "info+", "--log-to-stderr", "yes"]
    if modules := os.environ.get("QPIDD_MODULES"):
        argv += ["--module-dir", modules]
    return argv
