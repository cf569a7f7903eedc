"""Measures the serial listeners on sockets in QEMU's place: the round trip of a status, and hundreds of lines.

libvirt's test driver tells each daemon of VMs with serial ports; this process listens where QEMU would.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import statistics
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fencebus_schemas.serialline import REPLY_LENGTH, SerialRequest
from fencebus_schemas.xvm import ACTION_STATUS
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.rivals import BIN, Rival, c_program
from tests.bench.tables import milliseconds, spread, table
from tests.server_process import ServerProcess

CONFIG = """
fence_virtd {{ listener = "serial"; backend = "libvirt"; {state} }}
listeners {{ serial {{ mode = "serial"; path = "{folder}"; uri = "{uri}"; key_file = "{folder}/key"; }} }}
backends {{ libvirt {{ uri = "{uri}"; }} }}
"""
CABLE_CONFIG = """
fence_virtd {{ listener = "serial"; backend = "libvirt"; state_dir = "{folder}/state"; }}
listeners {{ serial {{ device = "{device}"; vm = "vm0"; key_file = "{folder}/key"; }} }}
backends {{ libvirt {{ uri = "test://{folder}/world.xml"; }} }}
"""
VM = (
    "<domain type='test'><name>vm{0}</name><memory>8192</memory><os><type>hvm</type></os><devices>"
    "<serial type='unix'><source mode='bind' path='{1}/line{0}'/><target port='1'/></serial></devices></domain>"
)
MOST_ROUND_TRIP, MOST_ADOPTION = 2.0, 2000.0
ADOPTION_LIMIT = 30.0
PATIENCE = 10.0
ASK_AGAIN = 0.5
REST = 0.01
LINES = (200, 1000)
MOST_LINES_OF_C = 900
"""select() ends at 1023: beyond that C's daemon writes past its fd_set."""


@dataclass
class Guests:
    """The sockets of so many guests, and who connected to them."""

    folder: Path
    count: int

    def __post_init__(self) -> None:
        (self.folder / "key").write_bytes(b"k" * 256)
        (self.folder / "key").chmod(0o600)
        domains = "".join(VM.format(number, self.folder) for number in range(self.count))
        (self.folder / "world.xml").write_text(f"<node><cpu><mhz>1000</mhz></cpu>{domains}</node>")
        self.uri = f"test://{self.folder}/world.xml"
        self.listening = [_listening(self.folder / f"line{number}") for number in range(self.count)]
        self.lines: list[socket.socket] = []

    def adopted(self) -> list[socket.socket]:
        """The connections that a daemon makes to every guest."""
        limit = time.monotonic() + ADOPTION_LIMIT
        for each in self.listening:
            each.settimeout(max(0.01, limit - time.monotonic()))
            self.lines.append(each.accept()[0])
        return self.lines

    def leave(self) -> None:
        """Close the connections, as the daemon has ended."""
        for line in self.lines:
            line.close()
        self.lines = []

    def close(self) -> None:
        """Close everything."""
        self.leave()
        for each in self.listening:
            each.close()


def _listening(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen()
    return listening


@contextmanager
def running(rival: Rival, config: Path, prefix: tuple[str, ...] = ()) -> Iterator[ServerProcess]:
    """The rival's daemon on a configuration file."""
    program = c_program("fence_virtd", "fence-virtd") if rival is Rival.C else BIN / "fence_virtd"
    argv = [*prefix, str(program), "-F", "-d0", "-f", str(config), "-p", f"{config}.pid"]
    with ServerProcess(argv, Path(f"{config}.log")) as daemon:
        yield daemon


@contextmanager
def served(rival: Rival, guests: Guests) -> Iterator[ServerProcess]:
    """The rival's daemon, which has connected to every guest."""
    config = guests.folder / f"{rival.value}.conf"
    state = f'state_dir = "{guests.folder}/state";' if rival is Rival.OURS else ""
    config.write_text(CONFIG.format(state=state, folder=guests.folder, uri=guests.uri))
    config.chmod(0o600)
    with running(rival, config) as daemon:
        guests.adopted()
        yield daemon
    guests.leave()


@contextmanager
def on_a_cable(folder: Path) -> Iterator[Cable]:
    """Our daemon on a pty, in place of a host's serial port with a cable to a guest."""
    far, near = os.openpty()
    tty.setraw(near)
    (folder / "key").write_bytes(b"k" * 256)
    (folder / "key").chmod(0o600)
    (folder / "world.xml").write_text(f"<node><cpu><mhz>1000</mhz></cpu>{VM.format(0, folder)}</node>")
    config = folder / "cable.conf"
    config.write_text(CABLE_CONFIG.format(folder=folder, device=os.ttyname(near)))
    config.chmod(0o600)
    cable = Cable(far)
    try:
        with running(Rival.OURS, config):
            cable.wait()
            yield cable
    finally:
        os.close(far)
        os.close(near)


@dataclass(frozen=True, slots=True)
class Cable:
    """The guest's end of a serial cable."""

    descriptor: int

    def send(self, data: bytes) -> None:
        """Write all of it; it is a few bytes."""
        os.write(self.descriptor, data)

    def receive(self, length: int, patience: float = PATIENCE) -> bytes:
        """Some bytes; raises TimeoutError."""
        if not select.select([self.descriptor], [], [], patience)[0]:
            raise TimeoutError("nothing came over the cable")
        return os.read(self.descriptor, length)

    def wait(self) -> None:
        """Return when the daemon answers: what is written before it opens the port is lost."""
        for _ in range(round(PATIENCE / ASK_AGAIN)):
            with contextlib.suppress(TimeoutError):
                trip(self.send, lambda length: self.receive(length, ASK_AGAIN))
                return
        raise TimeoutError("the daemon does not answer on its serial port")


_seqnos = itertools.count(1)
"""C's daemon is silent to a request that it has seen on any line in the last 10 s."""


def ask(line: socket.socket) -> float:
    """Seconds from the last byte of a request for a status to the first byte of its reply."""
    line.settimeout(PATIENCE)
    return trip(line.sendall, line.recv)


def trip(send: Callable[[bytes], object], receive: Callable[[int], bytes]) -> float:
    """The same, with how bytes are sent and received."""
    request = SerialRequest(ACTION_STATUS, "vm0", next(_seqnos)).pack()
    began = time.perf_counter()
    send(request)
    reply = receive(REPLY_LENGTH)
    took = time.perf_counter() - began
    while len(reply) < REPLY_LENGTH:
        reply += receive(REPLY_LENGTH - len(reply))
    return took


# -- the round trip ----------


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """On a socket, without a guest; and on a pty in place of the host's own serial port, which C does not have."""

    of: Mapping[Rival, Figures]
    pty: Figures

    def report(self) -> str:
        """A section of Markdown."""
        rows = [(f"{rival.value}, a guest's socket", spread(self.of[rival])) for rival in Rival]
        rows.append((f"{Rival.OURS.value}, a pair of ptys", spread(self.pty)))
        head = ("daemon", "last byte of a status to first byte of its reply, ms")
        return f"### A line without a guest\n\n{table(head, rows)}\n"

    def goals(self) -> Iterator[Goal]:
        """What is demanded."""
        for where, figures in (("line", self.of[Rival.OURS]), ("pair of ptys", self.pty)):
            yield Goal(f"status on a {where} without a guest", figures.median, MOST_ROUND_TRIP, " ms")


def round_trip(folder: Path, runs: int) -> RoundTrip:
    """All daemons at once, asked in turns."""
    times: dict[Rival, list[float]] = {rival: [] for rival in Rival}
    with ExitStack() as stack:
        lines = {}
        for rival in Rival:
            (folder / rival.value).mkdir()
            guests = Guests(folder / rival.value, 3)
            stack.callback(guests.close)
            stack.enter_context(served(rival, guests))
            lines[rival] = guests.lines[0]
            ask(lines[rival])
        cable = stack.enter_context(on_a_cable(folder))
        on_cable: list[float] = []
        for _ in range(runs):
            for rival in Rival:
                times[rival].append(ask(lines[rival]))
                time.sleep(REST)
            on_cable.append(trip(cable.send, cable.receive))
            time.sleep(REST)
    return RoundTrip({rival: Figures.of(each) for rival, each in times.items()}, Figures.of(on_cable))


# -- many lines ----------


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many lines on one daemon: milliseconds, megabytes, descriptors."""

    rival: Rival
    count: int
    adopted: Figures
    """From the start of the daemon's program to its last connection."""
    megabytes: float
    descriptors: int
    answered: float
    """The median of one status on each line."""


def crowd(rival: Rival, folder: Path, count: int, runs: int) -> Crowd:
    """Start the daemon again and again with so many guests there, then ask on every line."""
    times: list[float] = []
    answers: list[float] = []
    size, descriptors = 0.0, 0
    guests = Guests(folder, count)
    try:
        for _ in range(runs):
            began = time.perf_counter()
            with served(rival, guests) as daemon:
                times.append(time.perf_counter() - began)
                ask(guests.lines[0])
                answers = [ask(line) for line in guests.lines]
                size, descriptors = _resident(daemon.pid), len(os.listdir(f"/proc/{daemon.pid}/fd"))
    finally:
        guests.close()
    return Crowd(rival, count, Figures.of(times), size, descriptors, 1000 * statistics.median(answers))


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


def crowd_report(crowds: list[Crowd]) -> str:
    """A section of Markdown."""
    head = ("daemon, lines", "start to last line adopted, ms", "RSS, MB", "descriptors", "status, median ms")
    rows = [
        (
            f"{one.rival.value}, {one.count}",
            spread(one.adopted),
            f"{one.megabytes:.1f}",
            str(one.descriptors),
            milliseconds(one.answered),
        )
        for one in crowds
    ]
    return f"### Many lines on one daemon\n\n{table(head, rows)}\n"


def crowd_goals(crowds: list[Crowd]) -> Iterator[Goal]:
    """What is demanded of ours."""
    for one in crowds:
        if one.rival is Rival.OURS and one.count == LINES[0]:
            yield Goal(f"{one.count} lines adopted after a restart", one.adopted.median, MOST_ADOPTION, " ms")
