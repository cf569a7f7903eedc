"""Daemons on the nodes of a real corosync cluster, each with a libvirt of its own, and the C client before them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fencebus_schemas.model import Action
from tests.corosync import Cluster, Node, NodeProcess, wait_for
from tests.corosync_c import ADDRESS
from tests.daemon_process import DaemonProcess
from tests.interop.programs import Make, client_program

PORT = 1229


@dataclass
class Host:
    """One node with its daemon."""

    node: Node
    daemon: DaemonProcess

    @property
    def name(self) -> str:
        """The host's id."""
        return self.node.name

    def asks(self, action: Action | str, vm: str, seconds: float = 40.0) -> subprocess.CompletedProcess[str]:
        """The C client on this node asks its daemon; exit status 0 says that it is done, or ON for status."""
        word = action if isinstance(action, str) else action.name.lower()
        client = client_program(Make.C, "fence_virt")
        where = ["-T", ADDRESS, "-p", str(PORT), "-k", str(self.daemon.key_file)]
        target = ["-n", vm] if vm else []
        argv: list[str | Path] = [*self.node.prefix, client, *where, "-o", word, *target, "-t", "30"]
        return subprocess.run(argv, capture_output=True, text=True, timeout=seconds)

    def fences(self, action: Action | str, vm: str) -> bool:
        """Whether the action is told to have succeeded."""
        return self.asks(action, vm).returncode == 0

    def sees(self, vm: str) -> str:
        """ON, OFF, or nothing where the status cannot be said."""
        words = self.asks("status", vm).stdout.split()
        return words[-1] if words and words[-1] in ("ON", "OFF") else ""

    def lists(self) -> dict[str, str]:
        """The VMs of the list, on or off."""
        lines = (line.split() for line in self.asks("list", "").stdout.splitlines())
        return {words[0]: words[2] for words in lines if len(words) == 3}


@dataclass
class Site:
    """Hosts on the nodes of a cluster; VM ``nodeN`` and others as given, all running at the start."""

    cluster: Cluster
    hosts: Sequence[Host] = field(default_factory=tuple)

    def __getitem__(self, number: int) -> Host:
        return self.hosts[number - 1]


def daemon_on(node: Node, folder: Path, vms: Mapping[str, str], uri: str = "", patience: float = 2) -> DaemonProcess:
    """A daemon for the node, on libvirt's test driver if no ``uri`` is given; it is not started."""
    folder.mkdir(exist_ok=True)
    listener = f'tcp {{ key_file = "KEY"; address = "{ADDRESS}"; port = "{PORT}"; }}'
    identity = f'host = "{node.name}"; request_timeout = "{patience:g}";'
    daemon = DaemonProcess(
        folder, listener, identity, backend="checkpoint", uri=uri, vms=vms, prefix=node.prefix, port=PORT
    )
    daemon.process = NodeProcess(daemon.process.argv, daemon.process.log)
    return daemon


@contextmanager
def site(
    cluster: Cluster,
    folder: Path,
    vms: Sequence[Mapping[str, str]],
    rest: str = "",
    patience: float = 2,
    uris: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """A running daemon on each node; ``vms`` are those of each, by name and MAC; all know all when it begins.

    ``uris``: the libvirts of nodes that have a real one, on which their VMs run already.
    """
    with ExitStack() as stack:
        hosts = []
        for node, own in zip(cluster.nodes, vms, strict=True):
            uri = (uris or {}).get(node.name, "")
            daemon = daemon_on(node, folder / f"{node.name}-daemon", own, uri, patience)
            daemon.rest = rest
            daemon.configure()
            hosts.append(Host(node, stack.enter_context(daemon)))
        for host in hosts:
            host.daemon.wait_ready()
        made = Site(cluster, tuple(hosts))
        everything = {name for own in vms for name in own}
        wait_for(lambda: all(set(host.lists()) == everything for host in hosts), "list of all VMs on all hosts")
        yield made
