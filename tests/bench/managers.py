"""Measures `off` through a manager's stand-in, ours beside fence_rhevm: `python -m tests.bench.managers [--runs N]`.

Told is the time above the stand-in's own delay, from a stop to "down", which nobody can save, and the requests that one
fence costs.  Ours is measured twice: as the daemon sees it (receipt to verdict), and as a guest does, from the start of
the C client to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.tables import goals_table, spread, table
from tests.managers import certificates, programs
from tests.managers.fencing import until
from tests.managers.front import Front, running
from tests.managers.site import NODE1, world
from tests.managers.stand_in import StandIn
from tests.managers.world import Vm

DELAYS = (0.05, 0.4, 1.5)
"""Seconds from an accepted stop to "down"."""
WARM_UP = 12
"""Fences that are not counted: the router learns how long a stop takes here."""
CROWD = 100
PATIENT = {"power_timeout": "60", "power_wait": "0", "shell_timeout": "60", "login_timeout": "60"}
"""For a hundred interpreters at once on a small machine: fence_rhevm gives up after 5 s by itself."""
SECONDS = re.compile(r"verdict request=\S+ action=off .* ok=yes .* seconds=([0-9.]+)")


@dataclass(slots=True)
class Series:
    """Fences of one kind: seconds above the stand-in's own delay, and requests."""

    seconds: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    @property
    def figures(self) -> Figures:
        """The times."""
        return Figures.of(self.seconds)

    @property
    def most_requests(self) -> int:
        """The dearest fence."""
        return max(self.requests)

    def row(self, name: str) -> tuple[str, ...]:
        """What a table shows."""
        mean = sum(self.requests) / len(self.requests)
        return (name, str(len(self.seconds)), spread(self.figures), f"{mean:.1f}", str(self.most_requests))


async def fenced(stand_in: StandIn, fence: Callable[[], Awaitable[programs.Ended]]) -> tuple[float, int]:
    """Seconds and requests of one fence of a VM that runs; it must succeed, and the VM be down."""
    vm = stand_in.world.vms[NODE1]
    vm.status, vm.host = "up", "host-1"
    stand_in.requests.clear()
    began = time.perf_counter()
    ended = await fence()
    seconds = time.perf_counter() - began
    if ended.status or vm.status != "down":
        raise AssertionError(f"not fenced: {ended}, {vm.status}")
    return seconds, len(stand_in.requests)


async def ours(stand_in: StandIn, daemon: Front, runs: int, delay: float) -> tuple[Series, Series]:
    """(as a guest sees it, as the daemon does)."""
    seen, inside = Series(), Series()
    for number in range(WARM_UP + runs):
        seconds, requests = await fenced(stand_in, lambda: daemon.ask("off", NODE1))
        if number >= WARM_UP:
            seen.seconds.append(seconds - delay)
            inside.seconds.append(float(SECONDS.findall(daemon.log)[-1]) - delay)
            seen.requests.append(requests)
            inside.requests.append(requests)
    return seen, inside


async def theirs(stand_in: StandIn, runs: int, delay: float, **more: str) -> Series:
    """fence_rhevm, as Pacemaker would call it."""
    found = Series()
    patience = {"power_timeout": "20", **more}

    def fence() -> Awaitable[programs.Ended]:
        return programs.fence_rhevm(stand_in, "off", "node1", **patience)

    for _ in range(runs):
        seconds, requests = await fenced(stand_in, fence)
        found.seconds.append(seconds - delay)
        found.requests.append(requests)
    return found


async def crowd(stand_in: StandIn, fence: Callable[[str], Awaitable[programs.Ended]]) -> tuple[float, int, int]:
    """(seconds until the last of a hundred fences at once, how many failed, requests)."""
    vms = [vm for vm in stand_in.world.vms.values() if vm.name.startswith("crowd")]
    for vm in vms:
        vm.status, vm.host = "up", "host-1"
    stand_in.requests.clear()
    began = time.perf_counter()
    ended = await asyncio.gather(*(fence(vm.name) for vm in vms))
    seconds = time.perf_counter() - began
    return seconds, sum(each.status != 0 for each in ended), len(stand_in.requests)


async def measure(runs: int, folder: Path) -> list[Goal]:
    """Print the tables; the goals that they are held against."""
    stand_in = StandIn(world(), certificates.made(folder / "certificates"))
    stand_in.world.add(*(Vm(f"10000000-0000-0000-0000-{n:012d}", f"crowd{n}", stop_seconds=0.4) for n in range(CROWD)))
    goals: list[Goal] = []
    async with stand_in, running(Front(folder, [stand_in], timeout=25.0)) as daemon:
        await until(lambda: "logged in" in daemon.log)
        for delay in DELAYS:
            stand_in.world.vms[NODE1].stop_seconds = delay
            seen, inside = await ours(stand_in, daemon, runs, delay)
            usual = await theirs(stand_in, max(3, runs // 4), delay, power_wait="1")
            hasty = await theirs(stand_in, max(3, runs // 4), delay, power_wait="0")
            print(
                f"\n`off`, {delay * 1000:.0f} ms from the stop to down: ms above that (least / median / nine tenths)\n"
            )
            rows = (
                inside.row("ours, in the daemon"),
                seen.row("ours, with the C client"),
                usual.row("fence_rhevm"),
                hasty.row("fence_rhevm, power_wait=0"),
            )
            print(table(("", "runs", "ms above", "requests", "at most"), rows), flush=True)
            ratio = seen.figures.median / min(usual.figures.median, hasty.figures.median)
            what = f"{delay * 1000:.0f} ms to down: "
            goals += [
                Goal(what + "above it, in the daemon, median", inside.figures.median, 20.0, " ms"),
                Goal(what + "requests of a fence", inside.most_requests, 6, ""),
                Goal(what + "with the C client, in terms of fence_rhevm", ratio, 0.1, ""),
            ]
        await _crowds(stand_in, daemon)
    return goals


async def _crowds(stand_in: StandIn, daemon: Front) -> None:
    rows = []
    for name, fence in (
        ("ours, with C clients", lambda vm: daemon.ask("off", vm)),
        ("fence_rhevm", lambda vm: programs.fence_rhevm(stand_in, "off", vm, **PATIENT)),
    ):
        seconds, failed, requests = await crowd(stand_in, fence)
        rows.append((name, f"{seconds:.2f}", str(failed), f"{requests / CROWD:.1f}"))
    print(f"\n{CROWD} fences at once, 400 ms to down each\n")
    print(table(("", "seconds until the last", "failed", "requests of each"), rows), flush=True)


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    with tempfile.TemporaryDirectory(prefix="managers-") as folder:
        goals = asyncio.run(measure(parser.parse_args().runs, Path(folder)))
    print("\n" + goals_table(goals))
    return 0


if __name__ == "__main__":
    sys.exit(main())
