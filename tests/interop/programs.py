"""The real programs of both makes, C's and ours: a daemon in a network of its own, and clients that ask it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.components import CHECKOUT, require_file
from tests.elapsed import Stopwatch
from tests.interop.network import Network
from tests.server_process import ServerProcess

PORT = 1229
KEY = bytes(range(7, 135))
CLIENT_LIMIT = 40.0  # seconds; no client may need longer, whatever it was told


class Make(Enum):
    """Who wrote a program."""

    C = "C"
    OURS = "fencebus"


class Transport(Enum):
    """How a request travels."""

    TCP = "tcp"
    MULTICAST = "multicast"


class Line(Enum):
    """How a request travels that crosses no network."""

    SERIAL = "serial"
    """The test plays QEMU: the daemon connects to its sockets."""


@dataclass(frozen=True)
class Answer:
    """What came of one call of a client."""

    status: int
    out: str
    err: str
    seconds: float
    """By the clock."""
    undisturbed: float
    """Without those that others took from the machine."""

    @property
    def told(self) -> tuple[int, str]:
        """What another program can see of it: the exit status, and the standard output."""
        return self.status, self.out


@dataclass(frozen=True)
class Plan:
    """What a daemon is to be: everything of its configuration that tests vary."""

    uris: tuple[str, ...]
    transport: Transport | Line = Transport.TCP
    listener: str = ""
    """Further keys of the listener."""
    daemon: str = ""
    """Further keys of the daemon."""
    interface: str = "lo"
    """Where multicast is joined."""
    address: str = "127.0.0.1"
    """Where TCP is listened."""
    groups: str = ""
    key: bytes = KEY
    timeout: float = 25.0
    """Ours alone: seconds from a request to its answer."""

    def text(self, make: Make, folder: Path) -> str:
        """The configuration file."""
        kind = self.transport.value
        where = f'interface = "{self.interface}"; ' if self.transport is Transport.MULTICAST else ""
        ours = f'state_dir = "{folder}/state"; request_timeout = "{self.timeout:g}"; ' if make is Make.OURS else ""
        uris = "".join(f'uri{number or ""} = "{uri}"; ' for number, uri in enumerate(self.uris))
        return (
            f'fence_virtd {{ listener = "{kind}"; backend = "libvirt"; {self.daemon} {ours}}}\n'
            f'listeners {{ {kind} {{ key_file = "{folder}/key"; {where}{self.listener} }} }}\n'
            f"backends {{ libvirt {{ {uris}}} }}\n{self.groups}\n"
        )


def client_program(make: Make, name: str) -> Path:
    """The client called ``fence_virt`` or ``fence_xvm``."""
    if make is Make.C:
        return require_file(f"/usr/sbin/{name}", "fence-virt")
    return require_file(CHECKOUT / "guest_client" / "bin" / name, "fence-virt")


def daemon_command(make: Make) -> list[str]:
    """The daemon, without arguments."""
    if make is Make.C:
        require_file("/usr/lib/x86_64-linux-gnu/fence-virt/virt.so", "fence-virtd")
        return [str(require_file("/usr/sbin/fence_virtd", "fence-virtd"))]
    return [sys.executable, "-m", "fencebus_host.daemon"]


@dataclass
class Site:
    """A running daemon, and the place where clients can reach it."""

    network: Network
    folder: Path
    plan: Plan
    make: Make
    daemon: ServerProcess = field(init=False)

    def start(self) -> None:
        """Start the daemon and wait until it listens."""
        config = self.folder / "fence_virt.conf"
        config.touch(mode=0o600)
        config.write_text(self.plan.text(self.make, self.folder))
        argv = [*self.network.prefix, *daemon_command(self.make), "-F", "-d0", "-f", config, "-p", self.folder / "pid"]
        self.daemon = ServerProcess([str(part) for part in argv], self.folder / "daemon.log")
        self.daemon.start()
        # C's serves as soon as it listens, ours says when its first try of every part is over.
        ready = self._listens if self.make is Make.C else lambda: "fence_virtd ready" in self.log
        self.daemon.wait_until(ready)

    @property
    def log(self) -> str:
        """What the daemon wrote."""
        return self.daemon.output

    def command(self, client: Make, *arguments: str) -> list[str]:
        """The command line of a client that asks this daemon."""
        tcp = self.plan.transport is Transport.TCP
        program = client_program(client, "fence_virt" if tcp else "fence_xvm")
        address = ["-T", self.plan.address] if tcp else []
        return [*self.network.prefix, str(program), "-k", str(self.folder / "key"), *address, *arguments]

    def ask(self, client: Make, *arguments: str, stdin: str = "") -> Answer:
        """Run a client to its end."""
        return run(self.command(client, *arguments), stdin)

    def act(self, client: Make, action: str, target: str) -> Answer:
        """Run a client for one action on one VM."""
        return self.ask(client, "-o", action, "-n", target)

    def _listens(self) -> bool:
        if self.plan.transport is Line.SERIAL:
            return True
        table = "tcp" if self.plan.transport is Transport.TCP else "udp"
        tables = (Path(f"/proc/{self.network.pid}/net/{name}") for name in (table, f"{table}6"))
        return any(f":{PORT:04X} " in found.read_text() for found in tables)


def run(argv: Sequence[str], stdin: str = "", limit: float = CLIENT_LIMIT) -> Answer:
    """Run a command to its end."""
    watch = Stopwatch()
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, errors="backslashreplace", timeout=limit)
    watch.stop()
    return Answer(done.returncode, done.stdout, done.stderr, watch.seconds, watch.undisturbed)


@contextmanager
def site(make: Make, plan: Plan, folder: Path) -> Iterator[Site]:
    """A daemon in a network of its own; both end with the context."""
    folder.mkdir(parents=True)
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(plan.key)
    with Network() as network:
        place = Site(network, folder, plan, make)
        with daemon_of(place):
            yield place


@contextmanager
def daemon_of(place: Site) -> Iterator[None]:
    """The daemon of a site, as long as the context lasts."""
    try:
        place.start()
        yield
    finally:
        # C's looks at SIGTERM only between two waits, a second later; ours finishes what it has begun.
        place.daemon.stop(signal.SIGKILL if place.make is Make.C else signal.SIGTERM)


@contextmanager
def both(plan: Plan, folder: Path) -> Iterator[dict[Make, Site]]:
    """C's daemon and ours with the same plan, each in a network of its own."""
    with ExitStack() as running:
        yield {make: running.enter_context(site(make, plan, folder / make.name)) for make in Make}
