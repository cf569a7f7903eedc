"""Runs one libvirtd with files of its own, as its parent: a mount namespace around it, and a reaper for every QEMU.

    python3 libvirtd_keeper.py FOLDER          then, on stdin, a line "start" for each start of libvirtd; end of file
    ends all

Libvirt takes a dead QEMU for a living one as long as nobody reaps it, and the first process of a container may be
slow at that: the keeper is the "child subreaper" of all that libvirtd leaves behind.  It runs without fencebus and
without libvirt's bindings.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_CHILD_SUBREAPER = 36

# What libvirtd sees as, and where it lies in the folder.
PLACES = {
    "/run": "run",
    "/etc/libvirt": "etc",
    "/var/lib/libvirt": "lib",
    "/var/cache/libvirt": "cache",
    "/var/log/libvirt": "log",
}

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Keep libvirtd until stdin ends."""
    folder = Path(sys.argv[1])
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    _enter_namespace(folder)
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
        _reap()
        if 0 in ready and not _obey(folder):
            _end_all()
            return


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _enter_namespace(folder: Path) -> None:
    _check(_libc.unshare(CLONE_NEWNS))
    _check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    for place, name in PLACES.items():
        Path(place).mkdir(parents=True, exist_ok=True)
        (folder / name).mkdir(parents=True, exist_ok=True)
        _check(_libc.mount(os.fsencode(folder / name), os.fsencode(place), None, MS_BIND, None))


def _obey(folder: Path) -> bool:
    line = os.read(0, 4096)
    if b"start" in line:
        with (folder / "libvirtd.log").open("ab") as log:
            process = subprocess.Popen(
                ["/usr/sbin/libvirtd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        os.write(1, b"%d\n" % process.pid)
    return bool(line)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _end_all() -> None:
    """End every child: libvirtd, and each QEMU that it has left to this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while children := _children():
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def _children() -> list[int]:
    me = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]


if __name__ == "__main__":
    main()
