"""Turns the process into a background daemon whose starter waits until it serves, or learns why it does not.

C calls daemon(3) before it opens anything, so that its starter is told "fine" about a daemon that is about to fail.
"""

from __future__ import annotations

import os
import sys


class Starter:
    """The end of a pipe on whose other end the starting process waits."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def release(self) -> None:
        """Let the starter end with success."""
        if self._pipe >= 0:
            os.write(self._pipe, b"ready")
            os.close(self._pipe)
            self._pipe = -1


def go_to_background() -> Starter:
    """Return in the daemon; the starting process ends here, with 0 once ``release`` is called, with 1 if that never
    comes.

    Call before any thread or event loop exists.
    """
    read_end, write_end = os.pipe()
    if os.fork():
        os.close(write_end)
        _wait_and_exit(read_end)
    os.close(read_end)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o027)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return Starter(write_end)


def _wait_and_exit(read_end: int) -> None:
    ready = os.read(read_end, 16)
    if not ready:
        sys.stderr.write("fence_virtd: did not start; the system log has the reason\n")
    os._exit(0 if ready else 1)
