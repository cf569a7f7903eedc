"""Where the guests live: a network namespace with a bridge, a libvirtd in it, and fence_virtd beside it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_program
from tests.guests.machine import BRIDGE, HOST_ADDRESS
from tests.interop.network import Network
from tests.interop.programs import Make, daemon_command
from tests.libvirtd import Libvirtd
from tests.server_process import ServerProcess

CLONE_NEWNET = 0x40000000

CONFIG = """\
fence_virtd {{ listener = "serial,tcp,multicast"; backend = "libvirt"; state_dir = "{folder}/state"; }}
listeners {{
    serial {{ path = "{folder}/serial"; mode = "serial"; }}
    serial = "forward" {{ path = "{folder}/forward"; mode = "vmchannel"; }}
    tcp {{ address = "{address}"; key_file = "{folder}/key"; }}
    multicast {{ interface = "{bridge}"; key_file = "{folder}/key"; }}
}}
backends {{ libvirt {{ uri = "{uri}"; }} }}
{more}
"""

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def bridged() -> Iterator[Network]:
    """A namespace with a bridge, and nothing else."""
    with Network() as network:
        ip = require_program("ip", "iproute2")
        for words in (
            f"link add {BRIDGE} type bridge forward_delay 0 mcast_snooping 0",
            f"addr add {HOST_ADDRESS}/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        ):
            subprocess.run([*network.prefix, ip, *words.split()], check=True)
        yield network


@contextmanager
def inside(network: Network) -> Iterator[None]:
    """What this thread starts meanwhile lives in the namespace."""
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/proc/{network.pid}/ns/net").open() as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass
class Host:
    """The daemon of the guests' host, to be killed and started at will."""

    network: Network
    libvirtd: Libvirtd
    daemon: ServerProcess

    def start(self) -> None:
        """Start the daemon, and wait until it listens."""
        before = self.daemon.output.count("fence_virtd ready")
        self.daemon.start()
        self.daemon.wait_until(lambda: self.daemon.output.count("fence_virtd ready") > before)

    def cpu_seconds(self) -> float:
        """Processor time that the daemon has taken."""
        return cpu_seconds(self.daemon.pid)


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken, with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def host(network: Network, libvirtd: Libvirtd, more: str = "") -> Iterator[Host]:
    """fence_virtd with every listener that the guests can reach."""
    folder = libvirtd.folder
    config = folder / "fence_virt.conf"
    config.touch(mode=0o600)
    config.write_text(CONFIG.format(folder=folder, address=HOST_ADDRESS, bridge=BRIDGE, uri=libvirtd.uri, more=more))
    argv = [*network.prefix, *daemon_command(Make.OURS), "-F", "-d9", "-f", config, "-p", folder / "pid"]
    daemon = ServerProcess([str(part) for part in argv], folder / "daemon.log")
    place = Host(network, libvirtd, daemon)
    try:
        place.start()
        yield place
    finally:
        daemon.stop()
