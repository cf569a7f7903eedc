"""Measures how long a status takes beside others: while another client reboots, and beside connections that are
silent.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tests.bench.clients import Client, begin, client_of, end, timed
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.grounds import BYSTANDERS, VMS
from tests.bench.readiness import settle
from tests.bench.rivals import Daemon, Rival, Transport
from tests.bench.tables import ratio, spread, table

SILENT = 100
HEAD_START = 0.01
"""Seconds that the reboot is ahead of the status: enough for its request to arrive."""
FEW = 2
"""So often C's daemon is asked beside silent connections: each of them delays it by a second, and it takes minutes."""


class Company(Enum):
    """What else the daemon has to do."""

    NOBODY = "nothing else"
    REBOOT = "another client reboots a VM"
    SILENT = f"{SILENT} silent TCP connections"


@dataclass(frozen=True, slots=True)
class InCompany:
    """The status' times on one hypervisor."""

    where: str
    of: Mapping[tuple[Company, Rival], Figures]
    failed: Mapping[tuple[Company, Rival], int]

    def report(self) -> str:
        """A section of Markdown."""
        head = ["beside", *(f"{rival.value}, {each}" for rival in Rival for each in ("ms", "to alone"))]
        rows = [[company.value, *self._cells(company)] for company in Company]
        return f"### {self.where}: status by C's client, least / median / 90 %\n\n{table(head, rows)}\n"

    def goals(self) -> Iterable[Goal]:
        """What is demanded of our daemon."""
        for company in (Company.REBOOT, Company.SILENT):
            yield Goal(f"status beside {company.value}, {self.where}, to alone", self._change(company, Rival.OURS), 1.5)

    def _cells(self, company: Company) -> Iterator[str]:
        for rival in Rival:
            failed = self.failed.get((company, rival), 0)
            yield spread(self.of[company, rival]) + (f" ({failed} failed)" if failed else "")
            yield ratio(self._change(company, rival))

    def _change(self, company: Company, rival: Rival) -> float:
        return self.of[company, rival].ratio_to(self.of[Company.NOBODY, rival])


def measure(daemons: Mapping[Rival, Daemon], runs: int) -> InCompany:
    """``runs`` times each, the daemons in turns."""
    times: dict[tuple[Company, Rival], list[float]] = {(each, rival): [] for each in Company for rival in Rival}
    failed: dict[tuple[Company, Rival], int] = {}
    client = client_of(Rival.C)
    settle(daemons.values())
    for number in range(runs):
        for rival, daemon in daemons.items():
            times[Company.NOBODY, rival].append(_status(client, daemon))
            times[Company.REBOOT, rival].append(_beside_reboot(client, daemon))
            if rival is Rival.OURS or number < FEW:
                seconds, status = _beside_silence(client, daemon)
                times[Company.SILENT, rival].append(seconds)
                failed[Company.SILENT, rival] = failed.get((Company.SILENT, rival), 0) + (status != 0)
                settle([daemon])
    some = next(iter(daemons.values()))
    where = f"{some.ground.name}, {some.transport.value}"
    return InCompany(where, {key: Figures.of(each) for key, each in times.items()}, failed)


def _status(client: Client, daemon: Daemon) -> float:
    return timed(client.argv(daemon, "status", BYSTANDERS[daemon.rival]))


def _beside_reboot(client: Client, daemon: Daemon) -> float:
    rebooting = begin(client.argv(daemon, "reboot", VMS[daemon.rival]))
    try:
        time.sleep(HEAD_START)
        return _status(client, daemon)
    finally:
        if end(rebooting):
            raise AssertionError("the reboot failed")


def _beside_silence(client: Client, daemon: Daemon) -> tuple[float, int]:
    """Seconds, and the exit status: C's client gives up when nobody takes its connection."""
    with _silent_connections(daemon):
        began = time.perf_counter()
        status = end(begin(client.argv(daemon, "status", BYSTANDERS[daemon.rival])))
        return time.perf_counter() - began, status


@contextlib.contextmanager
def _silent_connections(daemon: Daemon) -> Iterator[None]:
    """Connections that say nothing; those that the daemon's backlog has no room for are tried and left."""
    assert daemon.transport is Transport.TCP
    with contextlib.ExitStack() as open_ones:
        for _ in range(SILENT):
            line = open_ones.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(("127.0.0.1", daemon.port))
        time.sleep(0.05)
        yield
