"""Two hosts on one machine, between which VMs migrate: each has a libvirtd, a name, processes, files and an address of
its own.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirt

from tests.components import require_file, require_program, require_root
from tests.guests.site import inside
from tests.interop.network import Network
from tests.libvirtd import Libvirtd

LIVE = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PERSIST_DEST
MOVE = LIVE | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
"""What an administrator ought to use: one definition, on the host that has the VM."""


@dataclass(frozen=True)
class TwinHost:
    """One of the two."""

    name: str
    address: str
    network: Network
    libvirtd: Libvirtd

    @property
    def prefix(self) -> list[str]:
        """What a command line begins with to run on this host."""
        (first,) = Path(f"/proc/{self.libvirtd.namespace}/task/{self.libvirtd.namespace}/children").read_text().split()
        return [str(require_program("nsenter", "util-linux")), "-t", first, "-m", "-u", "-n", "-p", "--"]

    def restart_libvirtd(self) -> None:
        """Kill it, which lives in a process namespace of its own, and start it again; its VMs run on."""
        subprocess.run([*self.prefix, "kill", "-KILL", str(self.libvirtd.pid)], check=True)
        (self.libvirtd.folder / "run" / "libvirtd.pid").unlink(missing_ok=True)
        self.libvirtd.start()

    def revive(self) -> None:
        """Start libvirtd if it has died: Debian's has a segmentation fault at times, over a kill in mid-migration."""
        try:
            self.libvirtd.admin.listAllDomains()
        except libvirt.libvirtError:
            (self.libvirtd.folder / "run" / "libvirtd.pid").unlink(missing_ok=True)
            self.libvirtd.start()

    def receive(self, domain: libvirt.virDomain, flags: int = MOVE, speed: int = 0, *, p2p: bool = False) -> None:
        """Migrate a running domain of the other host to this one; ``speed`` in MiB/s, 0: as fast as it goes.

        Returns when it has arrived; raises libvirtError.
        """
        words: dict[str, str | int] = {"migrate_uri": f"tcp://{self.address}"}
        if speed:
            words["bandwidth"] = speed
        if flags & libvirt.VIR_MIGRATE_POSTCOPY:
            words["bandwidth.postcopy"] = speed
        if p2p:
            domain.migrateToURI3(self.libvirtd.uri, words, flags | libvirt.VIR_MIGRATE_PEER2PEER)
        else:
            domain.migrate3(self.libvirtd.admin, words, flags)


@contextmanager
def two_hosts() -> Iterator[tuple[TwinHost, TwinHost]]:
    """The hosts, running.  Skips, or fails in CI, where a component is missing."""
    require_root()
    require_program("libvirtd", "libvirt-daemon-system")
    require_program("qemu-system-x86_64", "qemu-system-x86")
    require_file("/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so", "libvirt-daemon")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True)))
        networks = stack.enter_context(Network()), stack.enter_context(Network())
        _link(*networks)
        yield _host(stack, folder, "host1", networks[0], 1), _host(stack, folder, "host2", networks[1], 2)


def _host(stack: ExitStack, folder: Path, name: str, network: Network, number: int) -> TwinHost:
    apart: list[str | Path] = [
        require_program("unshare", "util-linux"),
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--uts",
    ]
    named: list[str | Path] = ["sh", "-ec", f'hostname {name} && exec "$@"', name]
    with inside(network):
        libvirtd = stack.enter_context(Libvirtd(folder / name, [*apart, *named]))
    return TwinHost(name, f"192.0.2.{number}", network, libvirtd)


def _link(one: Network, two: Network) -> None:
    ip = require_program("ip", "iproute2")
    far = f"/proc/{two.pid}/ns/net"
    subprocess.run([*one.prefix, ip, *f"link add link0 type veth peer name link0 netns {far}".split()], check=True)
    for number, network in enumerate((one, two), 1):
        for words in (f"addr add 192.0.2.{number}/24 dev link0", "link set link0 up"):
            subprocess.run([*network.prefix, ip, *words.split()], check=True)
