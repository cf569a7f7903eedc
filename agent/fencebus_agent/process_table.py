"""Converts /proc into answers: which processes carry a VM's UUID, and when each began."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fencebus_schemas.model import Life, Uuid

PROC = "/proc"
_TICKS = os.sysconf("SC_CLK_TCK")
_FLAGS, _PF_KTHREAD = 6, 0x00200000
_STARTTIME = 19
"""Index of field 22 (flags: field 9) of /proc/PID/stat, counted behind the closing parenthesis (proc(5))."""


@dataclass(frozen=True, slots=True)
class Qemu:
    """A process that runs a VM."""

    pid: int
    vm: Uuid
    name: str
    started: int
    """Clock ticks since boot; with the pid it tells two processes apart."""

    @property
    def life(self) -> Life:
        """The life that this process is.

        A tick is 10 ms and the kernel rounds down; rounded up, a life that began with the request counts as younger
        (S12).
        """
        return Life(f"{self.pid}:{self.started}", (self.started + 1) / _TICKS)


def read_qemu(pid: int, proc: str = PROC) -> Qemu | None:
    """The VM process with this pid, or ``None`` if there is no such process, or it runs no VM."""
    folder = f"{proc}/{pid}"
    try:
        command = _command(folder)
        if b"-uuid" not in command:
            return None
        started = int(_stat(folder)[_STARTTIME])
    except (OSError, ValueError, IndexError):
        return None
    vm = _after(command, b"-uuid")
    return Qemu(pid, Uuid(vm.lower()), _guest_name(command), started) if vm else None


def sees_others(proc: str = PROC) -> bool:
    """True unless /proc hides other users' processes (hidepid): then not finding one means nothing."""
    try:
        _read(f"{proc}/1/cmdline")
    except OSError:
        return False
    return True


def scan(proc: str = PROC) -> list[Qemu]:
    """Every VM process of this machine, also those whose main thread is gone while another one still writes."""
    return [qemu for pid in _pids(proc) if (qemu := read_qemu(pid, proc)) is not None]


def _pids(folder: str) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return []


def _command(folder: str) -> list[bytes]:
    """The command line.  A zombie's is empty; while it has living threads, theirs still shows it."""
    whole = _read(f"{folder}/cmdline")
    if not whole and not int(_stat(folder)[_FLAGS]) & _PF_KTHREAD:
        whole = _thread_command(f"{folder}/task")
    return whole.split(b"\0")


def _thread_command(folder: str) -> bytes:
    for thread in _pids(folder):
        try:
            whole = _read(f"{folder}/{thread}/cmdline")
        except OSError:  # that thread has just ended
            continue
        if whole:
            return whole
    return b""


def _stat(folder: str) -> list[bytes]:
    return _read(f"{folder}/stat").rpartition(b")")[2].split()


def _read(file: str) -> bytes:
    with open(file, "rb", buffering=0) as opened:
        return opened.read()


def _after(command: list[bytes], option: bytes) -> str:
    for at, word in enumerate(command[:-1]):
        if word == option:
            return command[at + 1].decode("utf-8", "replace")
    return ""


def _guest_name(command: list[bytes]) -> str:
    """The name in ``-name guest=NAME,debug-threads=on``; QEMU doubles a comma that belongs to it."""
    value = _after(command, b"-name").replace(",,", "\0")
    first = value.split(",")[0].replace("\0", ",")
    return first.removeprefix("guest=")
