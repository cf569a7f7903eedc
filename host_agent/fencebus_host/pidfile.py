"""Holds the file that says which process is the daemon, so that two of one kind do not run by accident.

As C (facts: fence-virt 3.3): the process id as text without a newline, removed at a clean end, ``/var/run/NAME.pid``
by default. Unlike C it is locked while the daemon lives, so that a stale file or a reused process id never keeps a
daemon from starting.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fencebus_schemas.errors import FencebusError


class AlreadyRunning(FencebusError):
    """Another daemon holds the file."""

    def __init__(self, path: Path, pid: str) -> None:
        super().__init__(path, pid)
        self.path = path
        self.pid = pid

    def __str__(self) -> str:
        return f"already running as process {self.pid or '?'} ({self.path}); another instance needs -p FILE"


class PidFile:
    """The locked file; ``close`` removes it."""

    def __init__(self, path: Path) -> None:
        """Take it; raises AlreadyRunning, or OSError if it cannot be written."""
        self._path = path
        self._descriptor = _locked(path)
        while not self._is_still_there():
            # Its last owner removed it between our open and our lock; what we hold has no name any more.
            os.close(self._descriptor)
            self._descriptor = _locked(path)
        self._write()

    def _is_still_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _write(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Remove the file and let go of it."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise AlreadyRunning(path, owner) from None
    return descriptor
