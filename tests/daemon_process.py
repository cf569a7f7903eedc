"""Runs the real fence_virtd as a process, on libvirt's test driver with VMs that a test chooses."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from fencebus_schemas.model import Action
from tests.components import require_module
from tests.ports import free_tcp_port
from tests.protocol_client import Reply, Secret, ask_tcp, signed
from tests.server_process import ServerProcess

KEY = b"the key that every guest has"
SECRET = Secret(KEY)
VMS = {"node1": "52:54:00:00:00:01", "node2": "52:54:00:00:00:02"}
"""Names of VMs, and their MAC addresses."""


def uuid_of(name: str) -> str:
    """The UUID of the VM ``nodeN``."""
    number = int(re.sub(r"\D", "", name))
    return f"00000000-0000-0000-0000-{number:012d}"


def write_world(path: Path, vms: Mapping[str, str]) -> None:
    """A world for libvirt's test driver, in which these VMs run."""
    domains = "".join(
        f"<domain type='test'><name>{name}</name><uuid>{uuid_of(name)}</uuid><memory>1024</memory><os><type>hvm</type>"
        f"</os><devices><interface type='network'><mac address='{mac}'/><source network='default'/></interface>"
        "</devices></domain>"
        for name, mac in vms.items()
    )
    network = "<network><name>default</name><bridge name='virbr0'/></network>"
    path.write_text(f"<node>{domains}{network}</node>", encoding="utf-8")


@dataclass(slots=True)
class DaemonProcess:
    """One fence_virtd in the foreground, with its folder; use it as a context manager.

    ``listeners`` is the inside of that section, in which KEY stands for the key's file; ``backends`` what stands there
    beside libvirt.  ``prefix`` begins the command, to run it elsewhere.
    """

    folder: Path
    listeners: str = ""
    daemon: str = ""
    rest: str = ""
    backend: str = "libvirt"
    backends: str = ""
    uri: str = ""
    vms: Mapping[str, str] = field(default_factory=lambda: VMS)
    options: Sequence[str] = ()
    prefix: Sequence[str | Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_tcp_port)
    process: ServerProcess = field(init=False)

    def __post_init__(self) -> None:
        require_module("libvirt", extra="host")
        if not self.key_file.exists():
            self.key_file.touch(mode=0o600)
            self.key_file.write_bytes(KEY)
        write_world(self.folder / "world.xml", self.vms)
        self.configure()
        program: list[str | Path] = [sys.executable, "-m", "fencebus_host.daemon"]
        files: list[str | Path] = ["-f", self.config_file, "-p", self.pid_file]
        log = self.folder / "log"
        self.process = ServerProcess([*self.prefix, *program, "-F", *files, *self.options], log, self.env)

    def __enter__(self) -> DaemonProcess:
        self.process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()

    @property
    def key_file(self) -> Path:
        """Where the key lies."""
        return self.folder / "key"

    @property
    def config_file(self) -> Path:
        """Where the configuration lies."""
        return self.folder / "fence_virt.conf"

    @property
    def pid_file(self) -> Path:
        """Where the daemon writes its process id."""
        return self.folder / "pid"

    @property
    def state_dir(self) -> Path:
        """Where the daemon keeps its records."""
        return self.folder / "state"

    @property
    def where(self) -> tuple[str, int]:
        """Where its TCP listener is, unless the test configured others."""
        return "127.0.0.1", self.port

    @property
    def log(self) -> str:
        """What it has said."""
        return self.process.output

    def configure(self) -> None:
        """Write the configuration anew."""
        listeners = self.listeners or f'tcp {{ key_file = "KEY"; port = "{self.port}"; }}'
        uri = self.uri or f"test://{self.folder / 'world.xml'}"
        self.config_file.touch(mode=0o600)
        self.config_file.write_text(
            f'fence_virtd {{ backend = "{self.backend}"; state_dir = "{self.state_dir}"; {self.daemon} }}\n'
            f"listeners {{ {listeners.replace('KEY', str(self.key_file))} }}\n"
            f'backends {{ libvirt {{ uri = "{uri}"; }} {self.backends} }}\n{self.rest}\n',
            encoding="utf-8",
        )

    def wait_ready(self) -> DaemonProcess:
        """Return once it says that it is ready."""
        self.process.wait_for_output("fence_virtd ready")
        return self

    def wait_for_line(self, text: str, after: int = 0) -> None:
        """Return once it has logged ``text``, behind the first ``after`` characters of its log."""
        self.process.wait_until(lambda: text in self.log[after:], what=f"saying {text!r}")

    def ask(self, action: Action, target: str = "", secret: Secret = SECRET) -> Reply:
        """Its answer over TCP."""
        return ask_tcp(self.where, signed(secret, action, target), secret)

    def says(self, pattern: str) -> list[str]:
        """The lines of its log that match a regular expression."""
        return [line for line in self.log.splitlines() if re.search(pattern, line)]
