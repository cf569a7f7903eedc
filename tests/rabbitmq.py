"""Runs a real RabbitMQ for the tests: a node and an epmd of its own, on ports that nobody else uses, in one folder."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import ports
from tests.components import require_file, require_program
from tests.server_process import ServerProcess

START = 120.0
"""Seconds until it accepts connections at the latest; 8 on an idle machine, more than 40 at a load of 10."""
USERS = ("a", "b", "c", "asker", "answerer", "host1", "host2", "host3")
"""Each with its name as its password and the right to everything in ``/``."""
STRANGER = "stranger"
"""A user without any right."""
BOUNDED = "bounded"
"""A user who may make no exchange, and publish to the topic exchange alone."""
SHUT = "shut"
"""A virtual host that nobody may enter."""


@dataclass(slots=True)
class RabbitMq:
    """A node that has been set up; start it with ``start``, again and again."""

    folder: Path
    port: int
    tls_port: int | None
    _epmd_port: int
    _node: str
    _cookie: str
    _env: Mapping[str, str]
    _server: ServerProcess | None = None

    def url(self, user: str = "a", password: str | None = None, port: int | None = None, vhost: str = "") -> str:
        """Where a user finds it."""
        return f"amqp://{user}:{user if password is None else password}@127.0.0.1:{port or self.port}{vhost}"

    @property
    def server(self) -> ServerProcess:
        """The running node; its pid is that of the Erlang machine."""
        assert self._server is not None
        return self._server

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        program = require_file("/usr/lib/rabbitmq/bin/rabbitmq-server", package="rabbitmq-server")
        self._server = ServerProcess([program], self.folder / "rabbitmq.log", self._env)
        self._server.start()
        self._server.wait_for_tcp(self.port, timeout=START)

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        self.server.stop(signal.SIGKILL)

    def stop(self) -> None:
        """End it; there is nothing in it that would be worth more."""
        if self._server is not None:
            self._server.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It is stopped by SIGSTOP: connections stand, and nothing is answered."""
        self.server.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.send(signal.SIGCONT)

    def ask(self, expression: str) -> str:
        """What the node makes of an expression of Erlang's; an answer takes some 10 ms."""
        program = require_program("erl_call", package="erlang-base")
        told = subprocess.run(
            [program, "-name" if "." in self._node else "-sname", self._node, "-c", self._cookie, "-e"],
            input=f"{expression}.\n",
            env={"ERL_EPMD_PORT": str(self._epmd_port), "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    def control(self, *arguments: str) -> str:
        """What RabbitMQ's own rabbitmqctl says; it takes some seconds."""
        program = require_file("/usr/lib/rabbitmq/bin/rabbitmqctl", package="rabbitmq-server")
        known = {**self._env, "RABBITMQ_NODENAME": self._node, "PATH": os.environ.get("PATH", os.defpath)}
        known["RABBITMQ_USE_LONGNAME"] = str("." in self._node.partition("@")[2]).lower()
        told = subprocess.run([program, *arguments], env=known, capture_output=True, text=True, timeout=120)
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    def alarm(self, on: bool) -> None:
        """Its memory is said to be full: it takes nothing from those who publish."""
        call = "set_alarm({{resource_limit, memory, node()}, []})"
        self.ask(f"rabbit_alarm:{call}" if on else "rabbit_alarm:clear_alarm({resource_limit, memory, node()})")


@contextlib.contextmanager
def running_rabbitmq(folder: Path, certificates: Path | None = None) -> Iterator[RabbitMq]:
    """A node that runs as long as the context lasts.  ``certificates`` holds ca.pem, server.pem and server.key."""
    require_file("/usr/lib/rabbitmq/bin/rabbitmq-server", package="rabbitmq-server")
    node = _prepared(folder, certificates)
    epmd = str(require_program("epmd", package="erlang-base"))
    argv = [epmd, "-port", str(node._epmd_port), "-address", "127.0.0.1"]
    with ServerProcess(argv, folder / "epmd.log") as names:
        names.wait_for_tcp(node._epmd_port)
        try:
            node.start()
            yield node
        finally:
            node.stop()
            # Messages and tables are of no use to anybody, and take some MB.
            shutil.rmtree(folder / "mnesia", ignore_errors=True)


def _prepared(folder: Path, certificates: Path | None) -> RabbitMq:
    folder.mkdir(parents=True, exist_ok=True)
    port, epmd_port, distribution = (ports.free_tcp_port() for _ in range(3))
    tls_port = ports.free_tcp_port() if certificates else None
    cookie = secrets.token_hex(10).upper()
    name = f"fencebus{port}"
    (folder / ".erlang.cookie").write_text(cookie, "ascii")
    (folder / ".erlang.cookie").chmod(0o400)
    (folder / "definitions.json").write_text(json.dumps(_definitions()), "ascii")
    (folder / "rabbitmq.conf").write_text("\n".join(_settings(folder, port, tls_port, certificates)) + "\n", "ascii")
    (folder / "enabled_plugins").write_text("[rabbitmq_amqp1_0].\n", "ascii")  # AMQP 1.0, on the same port
    (folder / "rabbitmq-env.conf").touch()
    env = {
        **environment(folder, epmd_port, distribution, folder),
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
    }
    return RabbitMq(folder, port, tls_port, epmd_port, f"{name}@localhost", cookie, env)


def environment(folder: Path, epmd_port: int, distribution: int, etc: Path) -> dict[str, str]:
    """What a node has to be told that is to disturb no other one; ``etc`` holds its settings, ``folder`` the rest."""
    return {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        # The script becomes the Erlang machine itself, so that a signal reaches it.
        "RUNNING_UNDER_SYSTEMD": "1",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONF_ENV_FILE": str(etc / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(etc / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
        # One core, which is given back at once: others test here too.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
    }


def _settings(folder: Path, port: int, tls_port: int | None, certificates: Path | None) -> Iterator[str]:
    yield f"listeners.tcp.1 = 127.0.0.1:{port}"
    yield f"load_definitions = {folder / 'definitions.json'}"
    yield "loopback_users = none"
    yield "vm_memory_high_watermark.absolute = 800MB"
    yield "disk_free_limit.absolute = 1MB"
    yield "log.console = true"
    yield "log.console.level = warning"
    yield "log.file = false"
    if tls_port and certificates:
        yield f"listeners.ssl.1 = 127.0.0.1:{tls_port}"
        yield f"ssl_options.cacertfile = {certificates / 'ca.pem'}"
        yield f"ssl_options.certfile = {certificates / 'server.pem'}"
        yield f"ssl_options.keyfile = {certificates / 'server.key'}"
        yield "ssl_options.verify = verify_none"


def _definitions() -> dict[str, Sequence[Mapping[str, object]]]:
    permissions = [_permission(user, ".*", ".*", ".*") for user in USERS]
    permissions.append(_permission(BOUNDED, "bounded-.*", r"bounded-.*|qmf\.default\.topic", ".*"))
    return {
        "users": [_user(name) for name in (*USERS, STRANGER, BOUNDED)],
        "vhosts": [{"name": "/"}, {"name": SHUT}],
        "permissions": permissions,
    }


def _permission(user: str, configure: str, write: str, read: str) -> dict[str, object]:
    return {"user": user, "vhost": "/", "configure": configure, "write": write, "read": read}


def _user(name: str) -> dict[str, object]:
    salt = secrets.token_bytes(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + name.encode()).digest()).decode("ascii")
    return {
        "name": name,
        "password_hash": hashed,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }
