"""The C daemon with its cpg backend on the nodes of a real corosync cluster."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

from tests.corosync import Node, NodeProcess, wait_for
from tests.interop.programs import Make, client_program, daemon_command
from tests.server_process import ServerProcess

ADDRESS = "127.0.0.1"
"""On each node's own loopback: nobody else is there."""
C_PORT = 1230
PATIENCE = 6.0
"""Seconds for which the client waits for an answer."""
NAMES = ("node1", "node2", "node3")
C_CONF = """\
fence_virtd {{ listener = "tcp"; backend = "cpg"; }}
listeners {{ tcp {{ key_file = "{key}"; address = "{address}"; port = "{port}"; }} }}
backends {{ cpg {{ uri = "{uri}"; }} }}
"""


def asked(node: Node, port: int, key: Path, action: str, vm: str) -> tuple[bool, bool]:
    """Whether the C client on a node is told of success, and whether it is answered at all."""
    client = client_program(Make.C, "fence_virt")
    argv: list[str | Path] = [*node.prefix, client, "-T", ADDRESS, "-p", str(port), "-k", key, "-o", action, "-n", vm]
    try:
        done = subprocess.run([*argv, "-t", "30"], capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False, False
    return done.returncode in ((0, 2) if action == "status" else (0,)), True


class CDaemons:
    """The C daemon with its cpg backend on all nodes."""

    name = "C, cpg"

    port = C_PORT

    def __init__(self, nodes: Sequence[Node], folder: Path, key: Path, uris: Sequence[str]) -> None:
        """``uris`` are the libvirts of the nodes; nothing is started before ``wait``."""
        self._nodes, self._key = nodes, key
        self._processes = [self._made(node, folder, uri) for node, uri in zip(nodes, uris, strict=True)]

    def __enter__(self) -> CDaemons:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            with suppress(AssertionError):
                process.stop(signal.SIGKILL)

    def _made(self, node: Node, folder: Path, uri: str) -> ServerProcess:
        conf = folder / f"c-{node.name}.conf"
        conf.write_text(C_CONF.format(key=self._key, address=ADDRESS, port=C_PORT, uri=uri))
        argv: list[str | Path] = [*node.prefix, *daemon_command(Make.C), "-F", "-d0", "-f", conf]
        return NodeProcess([*argv, "-p", folder / f"c-{node.name}.pid"], folder / f"c-{node.name}.log")

    def process(self, number: int) -> ServerProcess:
        """The daemon of a node."""
        return self._processes[number - 1]

    def asks(self, number: int, action: str, vm: str) -> tuple[bool, bool]:
        """(success, answered)."""
        return asked(self._nodes[number - 1], C_PORT, self._key, action, vm)

    def wait(self) -> None:
        """Until all answer; some starts never do (facts: fence-virt 29a), and are made again."""
        for number in (1, 2, 3):
            wait_for(partial(self._works, number), f"C daemon on node{number}", 120.0)

    def _works(self, number: int) -> bool:
        other = NAMES[number % 3]
        if self._started(number) and self.asks(number, "status", other)[1]:
            return True
        with suppress(AssertionError):
            self.process(number).stop(signal.SIGKILL)
        self.process(number).start()
        time.sleep(0.5)  # it listens by then; whether it works only its answer tells
        return False

    def _started(self, number: int) -> bool:
        try:
            return self.process(number).running
        except AssertionError:
            return False
