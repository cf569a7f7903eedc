"""Turns a path into the bytes of a regular file, or an OSError for everything else; never waits, never changes one."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_regular(file: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """At most ``limit`` bytes of ``file``, and its status; OSError also for pipes, devices and folders.

    Opening does not wait for a pipe's other end: a daemon that hangs at its start would fence nobody.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(limit), status
    finally:
        os.close(descriptor)


def is_absent(file: Path) -> bool:
    """Whether nothing at all is at this path; a link to nowhere is something, and so is what we may not look at."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
