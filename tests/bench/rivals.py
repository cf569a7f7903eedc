"""Decides how each rival's daemon is configured and started: C's fence_virtd and ours, on the same files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.components import require_program
from tests.server_process import ServerProcess

GROUP = "225.0.0.12"
BIN = Path(sys.executable).parent


class Rival(Enum):
    """Whose program it is."""

    C = "C"
    OURS = "ours"


class Transport(Enum):
    """How requests arrive."""

    TCP = "tcp"
    MULTICAST = "multicast"


PORTS = {
    (Rival.C, Transport.TCP): 2001,
    (Rival.C, Transport.MULTICAST): 2002,
    (Rival.OURS, Transport.TCP): 2003,
    (Rival.OURS, Transport.MULTICAST): 2004,
}
"""In the namespace of the bench nobody else has a port."""

CONFIG = """
fence_virtd {{ listener = "{transport}"; backend = "libvirt"; {state} }}
listeners {{
    tcp {{ address = "127.0.0.1"; port = "{port}"; key_file = "{key}"; }}
    multicast {{ address = "{group}"; interface = "lo"; family = "ipv4"; port = "{port}"; key_file = "{key}"; }}
}}
backends {{ libvirt {{ uri = "{uri}"; }} }}
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """On what the daemons run: a hypervisor, a key, a folder for files."""

    name: str
    """As the table shows it."""
    uri: str
    key_file: Path
    folder: Path
    real: bool = False
    """Whether its VMs are processes that are killed."""

    @property
    def key(self) -> bytes:
        """The key itself."""
        return self.key_file.read_bytes()


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that runs."""

    rival: Rival
    transport: Transport
    ground: Ground
    process: ServerProcess

    @property
    def port(self) -> int:
        """Where it listens."""
        return PORTS[self.rival, self.transport]

    @property
    def resident_megabytes(self) -> float:
        """What it has in memory now (VmRSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


@contextmanager
def started(rival: Rival, transport: Transport, ground: Ground) -> Iterator[Daemon]:
    """The rival's daemon, started and not yet waited for; ended with the context."""
    folder = ground.folder / f"{rival.value}-{transport.value}"
    folder.mkdir(exist_ok=True)
    config = folder / "fence_virt.conf"
    # The state folder is the one key that C's daemon does not know.
    state = f'state_dir = "{folder}/state";' if rival is Rival.OURS else ""
    port = PORTS[rival, transport]
    config.write_text(
        CONFIG.format(
            transport=transport.value, port=port, key=ground.key_file, group=GROUP, uri=ground.uri, state=state
        ),
        "utf-8",
    )
    config.chmod(0o600)
    with ServerProcess(_command(rival, config, folder), folder / "log") as process:
        yield Daemon(rival, transport, ground, process)


def _command(rival: Rival, config: Path, folder: Path) -> list[str]:
    program = c_program("fence_virtd", "fence-virtd") if rival is Rival.C else BIN / "fence_virtd"
    verbosity = ["-d0"] if rival is Rival.C else []
    return [str(program), "-F", *verbosity, "-f", str(config), "-p", str(folder / "pid")]


def c_program(name: str, package: str) -> Path:
    """C's program of this name: Debian's, whatever stands before it on PATH."""
    for folder in ("/usr/sbin", "/usr/bin"):
        if os.access(Path(folder) / name, os.X_OK):
            return Path(folder) / name
    return require_program(name, package)
