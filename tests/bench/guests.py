"""Measures lines to guests: on sockets without a guest, and from inside a real guest by every way.

make bench-guests                                             everything, 20 runs
python -m tests.bench.guests [--runs N] [--without-guest]     prints a report
python -m tests.bench.guests --way tcp                        one way from inside a guest
python -m tests.bench.guests --write                          puts it into docs/performance.md, too
"""

from __future__ import annotations

import argparse
import resource
import secrets
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import lines, machine, page
from tests.bench.figures import Figures
from tests.bench.goals import Goal
from tests.bench.rivals import Rival
from tests.bench.tables import goals_table, ratio, spread, table
from tests.guests import image, site
from tests.guests.machine import BRIDGE, HOST_ADDRESS, Machine
from tests.guests.world import Way, eventually
from tests.libvirtd import Libvirtd

LISTENERS = {
    Way.SERIAL: 'serial {{ uri = "{uri}"; mode = "serial"; path = "{folder}/serial"; {key} }}',
    Way.CHANNEL: 'serial {{ uri = "{uri}"; mode = "vmchannel"; path = "{folder}/channel"; {key} }}',
    Way.GUESTFWD: 'serial {{ uri = "{uri}"; mode = "vmchannel"; path = "{folder}/forward"; {key} }}',
    Way.TCP: f'tcp {{{{ address = "{HOST_ADDRESS}"; {{key}} }}}}',
    Way.MULTICAST: f'multicast {{{{ interface = "{BRIDGE}"; {{key}} }}}}',
}
PAIRS = [(client, daemon) for client in Rival for daemon in Rival]
ROUNDS = 10
"""How often the daemons take turns on one way; only one of them can hold a guest's line."""

Key = tuple[Way, Rival, Rival]
"""Way, client, daemon."""


@dataclass(frozen=True, slots=True)
class FromInside:
    """A status from inside a guest."""

    of: Mapping[Key, Figures]

    def report(self) -> str:
        """A section of Markdown."""
        head = (
            "ms: least / median / 90 %",
            *(f"{c.value} client, {d.value} daemon" for c, d in PAIRS),
            "ratio, C client",
        )
        rows = [
            (
                way.name.lower(),
                *(spread(self.of[way, *pair]) if (way, *pair) in self.of else "-" for pair in PAIRS),
                ratio(self.change(way)) if way is not Way.CHANNEL else "-",
            )
            for way in self._ways
        ]
        return f"### Status from inside a guest (TCG)\n\n{table(head, rows)}\n"

    @property
    def _ways(self) -> list[Way]:
        return [way for way in Way if any(way is each for each, _, _ in self.of)]

    def change(self, way: Way) -> float:
        """Our daemon's median in terms of C's, with C's client."""
        return self.of[way, Rival.C, Rival.OURS].ratio_to(self.of[way, Rival.C, Rival.C])

    def goals(self) -> Iterator[Goal]:
        """No slower than C anywhere; C's client cannot use a virtio port."""
        for way in self._ways:
            if way is not Way.CHANNEL:
                yield Goal(f"status from inside a guest, {way.name.lower()}, to C", self.change(way), 1.0)


def from_inside(folder: Path, runs: int, ways: Sequence[Way] = tuple(Way)) -> FromInside:
    """Boot a guest, and ask from inside it."""
    key = folder / "key"
    key.write_bytes(secrets.token_bytes(512))
    key.chmod(0o600)
    times: dict[Key, list[float]] = {}
    with ExitStack() as stack:
        network = stack.enter_context(site.bridged())
        with site.inside(network):
            libvirtd = stack.enter_context(Libvirtd(folder))
        guest = Machine(libvirtd, image.build(folder, key.read_bytes()), "node1", 11)
        guest.start()
        stack.callback(guest.close)
        libvirtd.run("target")
        guest.wait()
        floor = statistics.median(guest.run("true").seconds for _ in range(10))
        for way in ways:
            for turn in range(ROUNDS):
                for daemon in list(Rival)[:: 1 if turn % 2 else -1]:
                    with _daemon(daemon, way, libvirtd, tuple(network.prefix)):
                        _ask(guest, way, daemon, -(-runs // ROUNDS), floor, times)
    return FromInside({each: Figures.of(seconds) for each, seconds in times.items()})


@contextmanager
def _daemon(rival: Rival, way: Way, libvirtd: Libvirtd, prefix: tuple[str, ...]) -> Iterator[None]:
    folder = libvirtd.folder
    listener = LISTENERS[way].format(uri=libvirtd.uri, folder=folder, key=f'key_file = "{folder}/key";')
    state = f'state_dir = "{folder}/state";' if rival is Rival.OURS else ""
    config = folder / f"{rival.value}-{way.name}.conf"
    config.write_text(
        f'fence_virtd {{ listener = "{listener.split()[0]}"; backend = "libvirt"; {state} }}\n'
        f'listeners {{ {listener} }}\nbackends {{ libvirt {{ uri = "{libvirtd.uri}"; }} }}\n'
    )
    config.chmod(0o600)
    with lines.running(rival, config, prefix) as process:
        yield
        process.stop(grace=1.0)


def _ask(guest: Machine, way: Way, daemon: Rival, runs: int, floor: float, times: dict[Key, list[float]]) -> None:
    """``runs`` statuses with each client that can; ``floor`` is what any command takes, in seconds."""
    commands = {Rival.OURS: way.ours("-o status -n target -t 5")}
    if way is not Way.CHANNEL:
        commands[Rival.C] = way.c("-o status -n target -t 5")
    elif daemon is Rival.C:
        return
    first = next(reversed(commands.values()))
    eventually(lambda: guest.run(first).status == 0, 40)
    for _ in range(runs):
        for client, command in commands.items():
            said = guest.run(command)
            assert said.status == 0, said
            times.setdefault((way, client, daemon), []).append(said.seconds - floor)


def main() -> int:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(prog="tests.bench.guests")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--without-guest", action="store_true")
    parser.add_argument("--way", choices=[way.name.lower() for way in Way], help="only this way, from inside a guest")
    page.add_option(parser)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    description = machine.description(options.runs)
    if options.way:
        with tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as folder:
            print(from_inside(Path(folder), options.runs, [Way[options.way.upper()]]).report())
        return 0
    sections, goals = measure(options.runs, with_guest=not options.without_guest)
    text = "\n".join([description, "", goals_table(goals), "", *sections])
    print(text)
    if options.write:
        page.write(text, options.write, page.GUESTS)
    return 0


def measure(runs: int, *, with_guest: bool = True) -> tuple[list[str], list[Goal]]:
    """Sections of Markdown, and the goals; the process needs descriptors for twice the most lines."""
    with ExitStack() as stack:

        def folder() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True)))

        trip = lines.round_trip(folder(), max(runs, 50))
        crowds = [
            lines.crowd(rival, folder(), count, max(3, runs // 4))
            for count in lines.LINES
            for rival in Rival
            if rival is Rival.OURS or count <= lines.MOST_LINES_OF_C
        ]
        sections = [trip.report(), lines.crowd_report(crowds)]
        goals = [*trip.goals(), *lines.crowd_goals(crowds)]
        if with_guest:
            inside = from_inside(folder(), runs)
            sections.append(inside.report())
            goals += inside.goals()
    return sections, goals


if __name__ == "__main__":
    raise SystemExit(main())
