"""Measures fences across the hosts of a real corosync cluster, beside the bare group and the C daemon's cpg backend.

    python -m tests.bench.checkpoint [--rounds N] [--requests N] [--write]

Everything runs at once on one machine: three nodes in namespaces, libvirt's test driver, the asker on node1 and the
VM on node2.  A request is timed from the connection to the answer, in the protocol of the guests.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

from fencebus_host.routers.checkpoint.happenings import Delivered
from fencebus_host.routers.checkpoint.libcorosync import Group
from fencebus_schemas.model import Action
from tests.bench import group_protocol
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.page import CHECKPOINT, add_option, write
from tests.bench.tables import goals_table, milliseconds, table
from tests.corosync import Cluster, Node, cluster, wait_for
from tests.corosync_c import ADDRESS, CDaemons
from tests.corosync_site import PORT, Host, site
from tests.daemon_process import SECRET
from tests.protocol_client import PeerClosed, ask_tcp, signed

RAW = "fencebus-bench"
MESSAGE = bytes(400)
"""As long as a guard."""
COURSE = (
    ("status", Action.STATUS),
    ("off, running", Action.OFF),
    ("off, already off", Action.OFF),
    ("on", Action.ON),
    ("reboot", Action.REBOOT),
)
OLD = 6.0
"""Seconds: what began after the owner's last token (5 s) is ordered twice, as it may be younger than the request."""
PAUSE = 0.05


def targets(rounds: int) -> list[str]:
    """VMs of node2, one for each round: each action is measured on VMs that have been as they are for a while."""
    return [f"node2{number:03d}" for number in range(rounds)]


def vms(rounds: int) -> list[dict[str, str]]:
    """The VMs of each node, with their MAC addresses."""
    own = {name: f"52:54:00:02:{number // 256:02x}:{number % 256:02x}" for number, name in enumerate(targets(rounds))}
    return [{f"node{number}": f"52:54:00:00:00:0{number}", **(own if number == 2 else {})} for number in (1, 2, 3)]


@dataclass(frozen=True, slots=True)
class Series:
    """What one action took, and how often it failed or was not answered."""

    seconds: Sequence[float]
    failed: int = 0
    hung: int = 0

    def cells(self) -> tuple[str, str, str, str]:
        """p50, p99, the longest, and how many came to nothing."""
        if not self.seconds:
            return ("-", "-", "-", f"{self.failed} / {self.hung}")
        figures = Figures.of(self.seconds)
        shown = (figures.median, p99(figures), figures.most)
        half, most, longest = map(milliseconds, shown)
        return (half, most, longest, f"{self.failed} / {self.hung}")


def p99(figures: Figures) -> float:
    """The shortest time that at least 99 of a hundred do not exceed."""
    return figures.times[ceil(0.99 * figures.count) - 1]


# -- the floor ----------


async def raw_round_trips(nodes: Sequence[Node], rounds: int, rest: float = 0.0) -> list[float]:
    """Seconds from a message to the answer of another node, with libcpg and the asyncio loop alone.

    After a ``rest`` of some milliseconds corosync holds its token, and the first message has to wait for it.
    """
    loop = asyncio.get_running_loop()
    groups = [await loop.run_in_executor(ThreadPoolExecutor(1), _joined, node) for node in nodes[:2]]
    near, far = groups
    heard = asyncio.Event()

    def answered() -> None:
        if any(isinstance(each, Delivered) and each.sender == far.me for each in near.dispatch(64)):
            heard.set()

    def asked() -> None:
        if any(isinstance(each, Delivered) and each.sender == near.me for each in far.dispatch(64)):
            far.send(MESSAGE)

    loop.add_reader(near.fileno(), answered)
    loop.add_reader(far.fileno(), asked)
    seconds = []
    try:
        await asyncio.sleep(0.2)
        for _ in range(rounds):
            began = time.perf_counter()
            heard.clear()
            near.send(MESSAGE)
            await asyncio.wait_for(heard.wait(), 10)
            seconds.append(time.perf_counter() - began)
            await asyncio.sleep(rest)
    finally:
        for group in groups:
            loop.remove_reader(group.fileno())
            group.close()
    return seconds


def _joined(node: Node) -> Group:
    node.enter()
    return Group(RAW)


# -- the requests ----------


class Asker:
    """A guest on a node: one thread that stays there."""

    def __init__(self, node: Node) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(node.enter).result()

    def ask(self, port: int, action: Action, vm: str) -> tuple[float, int | None]:
        """Seconds, and the daemon's answer; ``None`` if there was none."""
        return self._thread.submit(self._ask, port, action, vm).result()

    def _ask(self, port: int, action: Action, vm: str) -> tuple[float, int | None]:
        request = signed(SECRET, action, vm)
        began = time.perf_counter()
        try:
            reply = ask_tcp((ADDRESS, port), request, SECRET)
        except (OSError, PeerClosed):
            return time.perf_counter() - began, None
        return time.perf_counter() - began, reply.code


def measured(asker: Asker, port: int, rounds: int, heal: Callable[[], None]) -> dict[str, Series]:
    """Every action on each of ``rounds`` VMs; ``heal`` is called after a request that was not answered."""
    found = {}
    for name, action in COURSE:
        if action is not Action.STATUS:
            time.sleep(OLD)
        seconds, failed, hung = [], 0, 0
        for target in targets(rounds):
            took, answer = asker.ask(port, action, target)
            if answer is None:
                hung += 1
                heal()
            elif answer not in ((0, 2) if action is Action.STATUS else (0,)):
                failed += 1
            else:
                seconds.append(took)
        found[name] = Series(seconds, failed, hung)
    return found


def until_silent(hosts: Sequence[Host], site: Cluster, rounds: int) -> list[float]:
    """Seconds from the cut of a node's link until another host takes its VMs for unknown."""
    seconds = []
    asker = hosts[0]
    for _ in range(rounds):
        before = len(asker.daemon.log)
        began = time.monotonic()
        site.cut(hosts[1].node)
        wait_for(partial(_has_left, asker, before), "silence")
        seconds.append(time.monotonic() - began)
        site.mend(hosts[1].node)
        site.wait_quorate()
        wait_for(lambda: asker.sees("node2") == "ON", "return of the host")
    return seconds


def _has_left(host: Host, after: int) -> bool:
    return "node2 has left" in host.daemon.log[after:]


@contextmanager
def _cluster() -> Iterator[tuple[Cluster, Path]]:
    with (
        tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as folder,
        cluster(Path(folder) / "nodes") as made,
    ):
        yield made, Path(folder)


def report(rounds: int, requests: int, cuts: int) -> tuple[str, list[Goal]]:
    """The tables, and the goals that they are held against."""
    with _cluster() as (nodes, folder), ExitStack() as stack:
        asker = Asker(nodes.nodes[0])
        busy = asyncio.run(raw_round_trips(nodes.nodes, rounds * 5))
        rested = asyncio.run(raw_round_trips(nodes.nodes, rounds, PAUSE))
        inside = group_protocol.measured(nodes.nodes, rounds)
        hosts = stack.enter_context(site(nodes, folder, vms(rounds)))
        ours = measured(asker, PORT, rounds, lambda: None)
        local = local_off(asker, rounds)
        many = Series(*endured(asker, requests)) if requests else None
        silence = Figures.of(until_silent(hosts.hosts, nodes, cuts))
        uris = [f"test://{host.daemon.folder / 'world.xml'}" for host in hosts.hosts]
        with CDaemons(nodes.nodes, folder, hosts[1].daemon.key_file, uris) as rivals:
            rivals.wait()
            theirs = measured(asker, rivals.port, rounds, rivals.wait)
    rows = [("raw group round trip, one after the other", *Series(busy).cells())]
    rows += [(f"raw group round trip, {PAUSE * 1000:.0f} ms after the last", *Series(rested).cells())]
    rows += [
        (f"{name}, fencebus without libvirt, disk and guest", *Series(each).cells()) for name, each in inside.items()
    ]
    rows += [(f"{name}, fencebus", *ours[name].cells()) for name, _ in COURSE]
    rows += [("off, already off, of a VM of the asked host, fencebus", *local.cells())]
    rows += [(f"{name}, C cpg", *theirs[name].cells()) for name, _ in COURSE]
    if many is not None:
        rows += [(f"{requests} requests without a pause, fencebus", *many.cells())]
    rows += [("from a link's cut to silence", *Series([each / 1000 for each in silence.times]).cells())]
    text = table(("milliseconds", "p50", "p99", "longest", "failed / unanswered"), rows)
    above = Figures.of(inside["off, running"]).median - Figures.of(rested).median
    goals = [Goal("off across hosts without libvirt, disk and guest, above the group after a rest", above, 2.0, " ms")]
    goals += _goals(ours, theirs, many)
    load = f"Three nodes, all on one machine with a load of {os.getloadavg()[0]:.1f}; {rounds} rounds."
    return f"{load}\n\n{text}\n\n{goals_table(goals)}", goals


def _goals(ours: dict[str, Series], theirs: dict[str, Series], many: Series | None) -> Iterator[Goal]:
    for name in ("off, running", "on", "reboot"):
        if theirs[name].seconds:
            ratio = Figures.of(ours[name].seconds).ratio_to(Figures.of(theirs[name].seconds))
            yield Goal(f"{name}, in terms of C's cpg", ratio, 0.25, "")
    if many is not None:
        yield Goal("requests that were not answered", many.hung, 0, "")


def local_off(asker: Asker, rounds: int) -> Series:
    """An off of the asked host's own VM, which is off: what a request costs without any other host."""
    answers = [asker.ask(PORT, Action.OFF, "node1") for _ in range(rounds)]
    asker.ask(PORT, Action.ON, "node1")
    return Series([took for took, answer in answers[1:] if answer == 0])


def endured(asker: Asker, requests: int) -> tuple[list[float], int, int]:
    """Offs and statuses of another host's VM, one after the other."""
    seconds, failed, hung = [], 0, 0
    for number in range(requests):
        took, answer = asker.ask(PORT, Action.STATUS if number % 2 else Action.OFF, "node2")
        seconds.append(took)
        hung += answer is None
        failed += answer not in (None, 0, 2)
    asker.ask(PORT, Action.ON, "node2")
    return seconds, failed, hung


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=0, help="one after the other; 10000 takes minutes")
    parser.add_argument("--cuts", type=int, default=3)
    add_option(parser)
    given = parser.parse_args()
    text, _goals_held = report(given.rounds, given.requests, given.cuts)
    print(text)
    if given.write:
        write(text, given.write, CHECKPOINT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
