"""Says, from /proc alone and with no code of the product, which processes run a VM."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Process = tuple[int, int]
"""Process id and start time in clock ticks: together they name one life."""

EVERY_SECONDS = 0.03


def _start_time(pid: int) -> int | None:
    """The start time of a process that still has a thread which is not dead; None if nothing of it lives."""
    for thread in _threads(pid):
        try:
            fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in ("Z", "X"):
            return int(Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()[19])
    return None


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def living(vms: Iterable[str]) -> dict[str, set[Process]]:
    """The living processes of each VM: those with its UUID in their command line."""
    found: dict[str, set[Process]] = {vm: set() for vm in vms}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            vm = command[command.index(b"-uuid") + 1].decode()
            started = _start_time(int(name))
        except (OSError, ValueError, IndexError):
            continue
        if vm in found and started is not None and b"-S" in command:
            found[vm].add((int(name), started))
    return found


@dataclass
class Watch:
    """Samples the VMs all the time and keeps what must never be: two processes of one VM."""

    vms: tuple[str, ...]
    doubles: list[str] = field(default_factory=list)
    samples: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until ``stop``."""
        while not self._over.is_set():
            for vm, processes in living(self.vms).items():
                if len(processes) > 1:
                    self.doubles.append(f"{time.monotonic():.3f} {vm}: {sorted(processes)}")
            self.samples += 1
            time.sleep(EVERY_SECONDS)

    def stop(self) -> None:
        """End ``run``."""
        self._over.set()
