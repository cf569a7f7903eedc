"""Counts the runs of this host's QMF agent on its disk: a console sees by the number that it was started again.

A call that quotes an earlier run's number is refused (facts: qmf2 4.3), so a number is never given out twice: where the
count is lost, it goes on from the seconds since 1970, which no count reaches.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "qmf-epoch"
_DIGITS = 10
_LARGEST = 2**32 - 2
"""Consoles in C++ keep it in 32 bits."""


def next_epoch(state_dir: Path, wall_clock: Callable[[], float] = time.time) -> int:
    """The number of the run that begins now; written down before it is returned, if the disk lets us.

    Blocks for one small write; call it before the loop serves anybody.
    """
    path = state_dir / FILE
    try:
        epoch = _read(path) + 1
    except FileNotFoundError:
        epoch = 1
    except (OSError, ValueError) as error:
        log.warning("%s: the count of runs is lost: %s", path, error)
        epoch = int(wall_clock())
    try:
        _write(path, epoch)
    except OSError as error:
        log.warning("%s: the count of runs is not kept: %s", path, error)
        return max(epoch, int(wall_clock()))
    return epoch


def _read(path: Path) -> int:
    text = path.read_bytes()[: _DIGITS + 1].strip()
    if not text.isdigit() or not 0 < int(text) < _LARGEST:
        raise ValueError(f"{text!r} is no count")
    return int(text)


def _write(path: Path, epoch: int) -> None:
    """The old count or the new one, whatever happens meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, b"%d\n" % epoch)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
