"""Random joins, leaves, kills and cuts among three hosts of a corosync cluster, while VMs are fenced all the time.

python -m tests.corosync_siege SECONDS [SEED]        exit status 1 if a fence was told that did not take place
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.corosync_columns import NAMES, OurDaemons, World, ours, world


@dataclass
class Siege:
    """What is broken at the moment, and what has come of all requests."""

    world: World
    side: OurDaemons
    chance: random.Random
    told: Counter[str] = field(default_factory=Counter)
    lies: list[str] = field(default_factory=list)
    _dead: set[int] = field(default_factory=set)
    _alone: set[int] = field(default_factory=set)
    _uncut: set[int] = field(default_factory=lambda: {1, 2, 3})

    def last(self, seconds: float) -> None:
        """Break, mend and fence; everything is whole again at the end, and every host sees every VM run."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.chance.choice((self._break, self._mend))()
            self._fence()
        for number in (1, 2, 3):
            self._whole(number)
        self.world.run_all()
        self.world.cluster.wait_quorate()
        self.side.wait()

    def _fence(self) -> None:
        self.world.run_all()
        asked = self.chance.choice([number for number in (1, 2, 3) if number not in self._dead] or [0])
        if not asked:
            return
        vm = self.chance.choice(NAMES)
        success, answered = self.side.asks(asked, "off", vm)
        if success and self.world.runs(vm):
            self.lies.append(f"node{asked} told an off of {vm}, and it runs: {self._state()}")
        self.told["success" if success else "failure" if answered else "no answer"] += 1

    def _break(self) -> None:
        number = self.chance.choice((1, 2, 3))
        kind = self.chance.choice((self._kill, self._stop, self._kill_corosync, self._cut))
        kind(number)
        self.told[kind.__name__.strip("_").replace("_", " ")] += 1

    def _mend(self) -> None:
        self._whole(self.chance.choice((1, 2, 3)))

    def _kill(self, number: int) -> None:
        self.side.process(number).stop(signal.SIGKILL)
        self._dead.add(number)

    def _stop(self, number: int) -> None:
        self.side.process(number).stop()
        self._dead.add(number)

    def _kill_corosync(self, number: int) -> None:
        self.world.cluster.nodes[number - 1].kill_corosync()
        self._alone.add(number)

    def _cut(self, number: int) -> None:
        self.world.cluster.cut(self.world.cluster.nodes[number - 1])
        self._uncut.discard(number)

    def _whole(self, number: int) -> None:
        node = self.world.cluster.nodes[number - 1]
        if number not in self._uncut:
            self.world.cluster.mend(node)
            self._uncut.add(number)
        if number in self._alone:
            node.corosync.start()
            self._alone.discard(number)
        if number in self._dead:
            self.side.process(number).start()
            self._dead.discard(number)

    def _state(self) -> str:
        cut = {1, 2, 3} - self._uncut
        return f"no daemon on {sorted(self._dead)}, no corosync on {sorted(self._alone)}, cut off {sorted(cut)}"


def main(seconds: float, seed: int) -> int:
    """Run one siege and print what came of it."""
    with (
        tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as folder,
        world(Path(folder)) as made,
        ours(made, Path(folder)) as side,
    ):
        siege = Siege(made, side, random.Random(seed))
        siege.last(seconds)
    print(*(f"{what:16}{count:5}" for what, count in sorted(siege.told.items())), *siege.lies, sep="\n")
    return int(bool(siege.lies))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
