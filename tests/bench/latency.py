"""Measures how long each action takes, from a client's exec to its exit: either client with either daemon, in turns."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.bench.clients import client_of, timed
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.grounds import VMS
from tests.bench.readiness import settle
from tests.bench.rivals import Daemon, Rival
from tests.bench.tables import ratio, spread, table

PAIRS = [(client, daemon) for client in Rival for daemon in Rival]
REST = 0.3
"""Seconds of rest before ``on``: libvirt takes 0.2 s to notice an end, of which our ``off`` does not wait."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action, as the table calls it."""

    name: str
    action: str
    has_target: bool = True
    rest: float = 0.0


STEPS = (
    Step("status", "status"),
    Step("list", "list", has_target=False),
    Step("off, running", "off"),
    Step("off, already off", "off"),
    Step("on", "on", rest=REST),
    Step("reboot", "reboot"),
)

Key = tuple[str, Rival, Rival]
"""Step, client, daemon."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """The times on one hypervisor over one transport."""

    where: str
    of: Mapping[Key, Figures]

    def change(self, step: str, client: Rival = Rival.C) -> float:
        """Our daemon's median in terms of C's, with this client."""
        return self.of[step, client, Rival.OURS].ratio_to(self.of[step, client, Rival.C])

    def report(self) -> str:
        """A section of Markdown."""
        head = ["ms: least / median / 90 %", *(f"{c.value} client, {d.value} daemon" for c, d in PAIRS)]
        head.append("ratio, C client")
        rows = [
            [step.name, *(spread(self.of[step.name, *pair]) for pair in PAIRS), ratio(self.change(step.name))]
            for step in STEPS
        ]
        return f"### {self.where}\n\n{table(head, rows)}\n"

    def goals(self, real: bool) -> Iterable[Goal]:
        """What is demanded; ``real`` says that QEMUs were killed."""
        for step in ("status", "list"):
            yield Goal(f"{step}, {self.where}, to C", self.change(step), 1.2)
        if real:
            yield Goal(f"off of a running VM, {self.where}, to C", self.change("off, running"), 1 / 8)
            yield Goal(f"reboot, {self.where}, to C", self.change("reboot"), 0.4)


def measure(daemons: Mapping[Rival, Daemon], runs: int) -> Latencies:
    """Run every step with every pair, ``runs`` times; the rivals change places with every round."""
    times: defaultdict[Key, list[float]] = defaultdict(list)
    settle(daemons.values())
    for number in range(runs):
        order = list(Rival) if number % 2 else list(Rival)[::-1]
        for client in order:
            for step in STEPS:
                time.sleep(step.rest)
                for rival in order:
                    times[step.name, client, rival].append(_once(step, client, daemons[rival]))
    some = next(iter(daemons.values()))
    where = f"{some.ground.name}, {some.transport.value}"
    return Latencies(where, {key: Figures.of(seconds) for key, seconds in times.items()})


def _once(step: Step, client: Rival, daemon: Daemon) -> float:
    vm = VMS[daemon.rival] if step.has_target else ""
    return timed(client_of(client).argv(daemon, step.action, vm))
