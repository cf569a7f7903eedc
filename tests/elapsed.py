"""Measures how long something took, and how long it would have taken on a machine that others leave in peace."""

from __future__ import annotations

import os
import time
from pathlib import Path

PRESSURE, PROCESSORS = Path("/proc/pressure/cpu"), Path("/proc/stat")


def waited_for_processors() -> float:
    """Seconds so far in which something on this machine was ready to run and had no processor, or one that its host had
    given to others; 0 where the kernel does not count them.
    """
    stolen = int(PROCESSORS.read_text(encoding="ascii").splitlines()[0].split()[8]) / os.sysconf("SC_CLK_TCK")
    if not PRESSURE.exists():
        return stolen
    return stolen + int(PRESSURE.read_text(encoding="ascii").split("total=")[1].split()[0]) / 1e6


class Stopwatch:
    """Runs from the moment it is made until it is stopped."""

    def __init__(self) -> None:
        self._waited = waited_for_processors()
        self._began = time.monotonic()
        self._ended: tuple[float, float] | None = None

    def stop(self) -> None:
        """What it shows from now on is what it shows now."""
        self._ended = self._now()

    @property
    def seconds(self) -> float:
        """By the clock: for what may not end too soon."""
        return (self._ended or self._now())[0]

    @property
    def undisturbed(self) -> float:
        """Without those in which processors were short: for what may not end too late, as other tests' load is not its
        own.
        """
        seconds, waited = self._ended or self._now()
        return seconds - waited

    def _now(self) -> tuple[float, float]:
        return time.monotonic() - self._began, waited_for_processors() - self._waited
