"""Runs the real fence_virtd on libvirt's test driver, with VMs that a demonstration chooses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

from fencebus_host.demo.client import program, write

READY_SECONDS = 10.0


class DidNotStart(Exception):
    """The daemon did not become ready; the text is its log."""


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """A daemon with the configuration `conf` of this folder, that has told its service manager (this program) that it
    is ready, and that is gone afterwards.  Raises DidNotStart.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, (folder / "log").open("wb") as log:
        notified.bind(str(folder / "notify"))
        command = [str(program("fence_virtd")), "-F", "-f", str(folder / "conf"), "-p", str(folder / "pid")]
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        with subprocess.Popen(command, stdout=log, stderr=log, env=environment) as process:
            try:
                _wait_until_ready(notified, process, folder)
                yield
            finally:
                process.send_signal(signal.SIGTERM)


def _wait_until_ready(notified: socket.socket, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    notified.settimeout(0.1)
    while time.monotonic() < until and process.poll() is None:
        try:
            if b"READY=1" in notified.recv(4096):
                return
        except TimeoutError:
            continue
    raise DidNotStart("fence_virtd did not start:\n" + (folder / "log").read_text("utf-8", "replace"))


def write_world(folder: Path, names: Sequence[str]) -> None:
    """The test driver's description of a host with these VMs, in `vms.xml`.  Those of a name are one everywhere."""
    domains = (
        f"<domain type='test'><name>{name}</name><uuid>{uuid5(NAMESPACE_DNS, name)}</uuid><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
        for name in names
    )
    write(folder / "vms.xml", f"<node>{''.join(domains)}</node>".encode())
