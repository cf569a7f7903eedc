"""What a test with real guests has: the host, two guests, a VM to fence, and the ways from a guest to the host."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import libvirt

from tests.guests.machine import HOST_ADDRESS, Machine, Said
from tests.guests.site import Host

PORT = "/dev/virtio-ports/org.fencebus.fence.0"


class Way(Enum):
    """How a guest reaches its host; the value is what it tells the client."""

    SERIAL = "fence_virt -D /dev/ttyS1"
    CHANNEL = f"fence_virt -D {PORT}"
    GUESTFWD = "fence_virt -A 10.0.2.179"
    TCP = f"fence_virt -T {HOST_ADDRESS}"
    MULTICAST = "fence_xvm"

    def ours(self, arguments: str) -> str:
        """The command line of our client."""
        return f"/ours/{self.value} {arguments}"

    def c(self, arguments: str) -> str:
        """The command line of C's client."""
        return f"/usr/sbin/{self.value} {arguments}"


@dataclass(frozen=True)
class GuestWorld:
    """The guests, and what they stand on."""

    host: Host
    one: Machine
    two: Machine
    target: str
    """The UUID of the VM ``target``, which has a BIOS and nothing else."""

    @property
    def domain(self) -> libvirt.virDomain:
        """The VM to fence."""
        return self.host.libvirtd.admin.lookupByUUIDString(self.target)

    def make_ready(self) -> None:
        """Have the daemon, libvirtd and the target run."""
        if not self.host.daemon.running:
            self.host.start()
        # For a while after a kill libvirt says "running" of a VM whose process has ended.
        eventually(lambda: not self.domain.isActive() or self._has_process())
        if not self.domain.isActive():
            self.domain.create()

    def _has_process(self) -> bool:
        try:
            return Path(f"/proc/{self.host.libvirtd.qemu_pid('target')}").exists()
        except FileNotFoundError:
            return False

    def status(self, machine: Machine, way: Way = Way.SERIAL) -> Said:
        """Ask for the target's status with our client."""
        return machine.run(way.ours("-o status -n target"))

    def says(self, text: str, seconds: float = 40.0) -> None:
        """Wait until the daemon's log has a text."""
        self.host.daemon.wait_for_output(text, seconds)

    @contextlib.contextmanager
    def crowd(self, count: int) -> Iterator[None]:
        """So many VMs more, which do not run."""
        admin = self.host.libvirtd.admin
        names = [f"one-of-a-great-crowd-of-virtual-machines-{number:03}" for number in range(count)]
        for name in names:
            admin.defineXML(
                f"<domain type='qemu'><name>{name}</name><memory>16384</memory><os><type>hvm</type></os></domain>"
            )
        try:
            yield
        finally:
            for name in names:
                admin.lookupByName(name).undefine()


def eventually(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    """Return once the condition holds; fail if it does not within the time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come true in time"
        time.sleep(0.05)
