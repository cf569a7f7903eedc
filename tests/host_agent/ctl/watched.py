"""One real daemon that the tests of what administrators see share: 60 VMs on libvirt's test driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.daemon_process import DaemonProcess

VMS = {f"node{number}": f"52:54:00:00:00:{number:02x}" for number in range(1, 61)}


@contextmanager
def watched(folder: Path) -> Iterator[DaemonProcess]:
    """The daemon, ready."""
    with DaemonProcess(folder, vms=VMS, daemon='host = "host1";') as daemon:
        daemon.wait_ready()
        yield daemon
