"""Runs a client once, from exec to exit, and takes the time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rivals import BIN, Daemon, Rival, Transport, c_program

QUIET = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]


class WrongEndError(AssertionError):
    """A client ended as it must not: its time says nothing."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client's program, for TCP and for multicast."""

    name: str
    fence_virt: Path
    fence_xvm: Path

    def argv(self, daemon: Daemon, action: str, vm: str = "") -> list[str]:
        """The command that has the daemon do ``action`` to ``vm``."""
        common = ["-p", str(daemon.port), "-k", str(daemon.ground.key_file), "-o", action]
        target = ["-n", vm] if vm else []
        if daemon.transport is Transport.TCP:
            return [str(self.fence_virt), "-T", "127.0.0.1", *common, *target]
        return [str(self.fence_xvm), *common, *target]


def client_of(rival: Rival) -> Client:
    """C's client as Debian installs it, or ours as this environment has it."""
    if rival is Rival.C:
        return Client("C", c_program("fence_virt", "fence-virt"), c_program("fence_xvm", "fence-virt"))
    return Client("ours", BIN / "fence_virt", BIN / "fence_xvm")


def begin(argv: Sequence[str]) -> int:
    """Start a program that may say what it likes; its pid, to be waited for with ``end``."""
    return os.posix_spawn(argv[0], list(argv), os.environ, file_actions=QUIET)


def end(pid: int) -> int:
    """Wait for a program; its exit status (negative: a signal's number)."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def timed(argv: Sequence[str], status: int = 0) -> float:
    """Seconds from exec to exit; raises WrongEndError for another exit status than ``status``."""
    began = time.perf_counter()
    ended = end(begin(argv))
    seconds = time.perf_counter() - began
    if ended != status:
        raise WrongEndError(f"{' '.join(argv)}: exit status {ended}, not {status}")
    return seconds
