"""fence_virtd on clocks that a test can put forward: python -P later_daemon.py AHEAD ARGUMENTS...

No clock of a machine can be moved under a running process, so that what a process finds that stood still for an hour is
shown here: AHEAD is a file of one double, mapped, whose seconds are added to each reading of any clock.  Whoever puts
it forward while the process is stopped has all its threads find the hour gone at their first look.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

AHEAD = struct.Struct("d")


def _ahead_of(file: Path) -> Callable[[], float]:
    with file.open("rb") as held:
        seconds = mmap.mmap(held.fileno(), AHEAD.size, access=mmap.ACCESS_READ)
    return lambda: float(AHEAD.unpack_from(seconds)[0])


def main(file: Path, arguments: list[str]) -> int:
    """Run the daemon; returns its exit status."""
    ahead = _ahead_of(file)
    now, ticks, read = time.time, time.monotonic, time.clock_gettime
    with mock.patch.multiple(
        time,
        time=lambda: now() + ahead(),
        monotonic=lambda: ticks() + ahead(),
        clock_gettime=lambda which: read(which) + ahead(),
    ):
        from fencebus_host import daemon

        return daemon.main(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
