"""Shows the main job in a few seconds: a daemon on libvirt's test driver, and the real client fencing its VMs."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fencebus_host.demo.client import Step, free_port, program, run, write

READY_SECONDS = 10.0
VMS = ("node1", "node2", "node3", "database", "webserver")


STEPS = (
    Step("Which VMs does this host have?", ("-o", "list")),
    Step("Is node2 on?", ("-o", "status", "-n", "node2")),
    Step("Fence it: the answer comes when its death is proven.", ("-o", "off", "-n", "node2")),
    Step("Is node2 on?  (exit status 2 means OFF)", ("-o", "status", "-n", "node2"), 2),
    Step("Switch it on again.", ("-o", "on", "-n", "node2")),
    Step("Is node2 on?", ("-o", "status", "-n", "node2")),
    Step("Reboot another one.", ("-o", "reboot", "-n", "node3")),
    Step("A VM that nobody knows is never reported as off.", ("-o", "off", "-n", "nosuchvm"), 1),
)


def show(folder: Path) -> bool:
    """Run the demonstration in an empty folder; true if every step ended as it must."""
    port = free_port()
    _write_configuration(folder, port)
    print(f"A host with {len(VMS)} VMs (libvirt's test driver), a new key, and fence_virtd on TCP port {port}.\n")
    try:
        with _daemon(folder):
            done = [run(step, folder, port) for step in STEPS]
            return all(done)
    except DidNotStart as error:
        print(error, file=sys.stderr)
        return False


class DidNotStart(Exception):
    """The daemon did not become ready; the text is its log."""


@contextmanager
def _daemon(folder: Path) -> Iterator[None]:
    """A daemon that has told its service manager (this program) that it is ready, and that is gone afterwards."""
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


def _write_configuration(folder: Path, port: int) -> None:
    write(folder / "key", secrets.token_bytes(512))
    write(folder / "vms.xml", _node(VMS).encode())
    conf = f"""
        fence_virtd {{ listener = "tcp"; backend = "libvirt"; state_dir = "{folder}/state"; }}
        listeners {{ tcp {{ address = "127.0.0.1"; port = "{port}"; key_file = "{folder}/key"; }} }}
        backends {{ libvirt {{ uri = "test://{folder}/vms.xml"; }} }}
    """
    write(folder / "conf", conf.encode())


def _node(names: Sequence[str]) -> str:
    """The test driver's description of a host."""
    domains = (
        f"<domain type='test'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os></domain>"
        for name in names
    )
    return f"<node>{''.join(domains)}</node>"
