"""What fences across hosts answer while nodes, links and daemons fail: ours beside the C daemon's cpg backend.

    python -m tests.corosync_columns        prints both columns; a minute or two

Every host has a libvirtd and a VM of QEMU of its own, so that VMs outlive the daemons.  A scenario breaks something,
asks node1 to fence the VM of node2, and looks whether that VM's process still runs.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent import process_table
from tests.corosync import Cluster, cluster, wait_for
from tests.corosync_c import CDaemons, asked
from tests.corosync_migration import migrate, start
from tests.corosync_site import PORT, Host, daemon_on
from tests.libvirtd import Libvirtd, guest_xml
from tests.server_process import ServerProcess

NAMES = ("node1", "node2", "node3")


@dataclass(frozen=True)
class Told:
    """What came of one request."""

    success: bool
    answered: bool
    runs: bool
    """Whether the VM's process still runs."""

    @property
    def is_a_lie(self) -> bool:
        """A fence that has not taken place."""
        return self.success and self.runs

    def __str__(self) -> str:
        said = "success" if self.success else "failure" if self.answered else "no answer"
        return f"{said}, VM {'runs' if self.runs else 'is dead'}" + (" (FALSE)" if self.is_a_lie else "")


class OurDaemons:
    """fencebus on all nodes."""

    name = "fencebus"

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = hosts

    @property
    def key(self) -> Path:
        """The guests' key."""
        return self._hosts[0].daemon.key_file

    def host(self, number: int) -> Host:
        """A node with its daemon."""
        return self._hosts[number - 1]

    def process(self, number: int) -> ServerProcess:
        """The daemon of a node."""
        return self._hosts[number - 1].daemon.process

    def asks(self, number: int, action: str, vm: str) -> tuple[bool, bool]:
        """(success, answered)."""
        return asked(self._hosts[number - 1].node, PORT, self.key, action, vm)

    def wait(self) -> None:
        """Until everybody sees every VM run."""
        wait_for(
            lambda: all(set(host.lists().items()) == {(name, "on") for name in NAMES} for host in self._hosts),
            "list of all VMs on all hosts",
        )


Side = OurDaemons | CDaemons


@dataclass(frozen=True)
class World:
    """The cluster, and what runs on it."""

    cluster: Cluster
    libvirts: Sequence[Libvirtd]
    uuids: Mapping[str, str]
    """Of the VMs, by their names."""

    def run_all(self) -> None:
        """Have every VM run."""
        for libvirtd, name in zip(self.libvirts, NAMES, strict=True):
            if not self.runs(name):
                start(libvirtd.admin.lookupByName(name))

    def runs(self, vm: str) -> bool:
        """Whether the VM's process is there."""
        return bool(self.processes(vm))

    def processes(self, vm: str) -> set[int]:
        """The process ids of the VM, out here."""
        return {qemu.pid for qemu in process_table.scan() if qemu.vm == self.uuids[vm]}

    def migrate(self, vm: str, source: int, to: int) -> None:
        """From one node to another, running."""
        there = self.libvirts[to - 1].admin
        migrate(self.libvirts[source - 1].admin.lookupByName(vm), there, self.cluster.nodes[to - 1])


def _freeze(world: World, side: Side) -> Iterator[None]:
    """The whole node stands still, as in a suspended machine, and goes on later."""
    stopped = (side.process(2), world.cluster.nodes[1].corosync)
    for process in stopped:
        process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            process.send(signal.SIGCONT)


def _nothing(_world: World, _side: Side) -> Iterator[None]:
    yield


def _daemon_killed(_world: World, side: Side) -> Iterator[None]:
    side.process(2).stop(signal.SIGKILL)
    yield
    side.process(2).start()


def _daemon_stopped(_world: World, side: Side) -> Iterator[None]:
    side.process(2).stop()
    yield
    side.process(2).start()


def _corosync_killed(world: World, _side: Side) -> Iterator[None]:
    node = world.cluster.nodes[1]
    node.kill_corosync()
    yield
    node.corosync.start()
    world.cluster.wait_quorate()


def _cut(number: int) -> Callable[[World, Side], Iterator[None]]:
    def broken(world: World, _side: Side) -> Iterator[None]:
        node = world.cluster.nodes[number - 1]
        world.cluster.cut(node)
        wait_for(lambda: not node.is_quorate(), "minority")
        yield
        world.cluster.mend(node)
        world.cluster.wait_quorate()

    return broken


@dataclass(frozen=True)
class Scenario:
    """What is broken, and whom node1 is then asked to fence."""

    title: str
    breaks: Callable[[World, Side], Iterator[None]]
    target: str = "node2"
    succeeds: bool = False
    """Whether it has to succeed with ours."""


SCENARIOS = (
    Scenario("nothing is broken", _nothing, succeeds=True),
    Scenario("a VM that nobody knows", _nothing, "nosuch"),
    Scenario("kill -9 of the owner's daemon", _daemon_killed),
    Scenario("the owner's daemon is stopped", _daemon_stopped),
    Scenario("kill -9 of the owner's corosync", _corosync_killed),
    Scenario("the owner's node stands still", _freeze),
    Scenario("the owner's link is cut", _cut(2)),
    Scenario("the asker is in the minority", _cut(1)),
)


def play(world: World, side: Side, scenario: Scenario) -> Told:
    """One row of one column."""
    world.run_all()
    side.wait()
    with contextmanager(scenario.breaks)(world, side):
        success, answered = side.asks(1, "off", scenario.target)
        watched = scenario.target if scenario.target in NAMES else "node2"
        return Told(success, answered, world.runs(watched))


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Three nodes, each with a corosync, a libvirtd and one VM called after it, which runs."""
    with ExitStack() as stack:
        nodes = stack.enter_context(cluster(folder / "nodes"))
        libvirts: list[Libvirtd] = []
        for node in nodes.nodes:
            if libvirts:  # to ask QEMU what it can do takes 8 s, and its answer is the same
                shutil.copytree(libvirts[0].folder / "cache", node.folder / "cache")
            libvirts.append(stack.enter_context(Libvirtd(node.folder, node.prefix)))
        uuids = {}
        for libvirtd, name in zip(libvirts, NAMES, strict=True):
            uuids[name] = libvirtd.admin.defineXML(guest_xml(name)).UUIDString()
        made = World(nodes, libvirts, uuids)
        made.run_all()
        yield made


@contextmanager
def ours(world: World, folder: Path) -> Iterator[OurDaemons]:
    """Our daemons on all nodes."""
    with ExitStack() as stack:
        hosts = []
        for node in world.cluster.nodes:
            daemon = daemon_on(node, folder / f"{node.name}-daemon", {}, uri="qemu:///system")
            hosts.append(Host(node, stack.enter_context(daemon)))
        for host in hosts:
            host.daemon.wait_ready()
        yield OurDaemons(hosts)


def columns(folder: Path) -> list[tuple[str, str, str]]:
    """The table: scenario, ours, C's."""
    rows = []
    with world(folder) as made:
        with ours(made, folder) as side:
            mine = [play(made, side, scenario) for scenario in SCENARIOS]
            key = side.key
        with CDaemons(made.cluster.nodes, folder, key, ["qemu:///system"] * 3) as other:
            their = [play(made, other, scenario) for scenario in SCENARIOS]
    for scenario, first, second in zip(SCENARIOS, mine, their, strict=True):
        rows.append((scenario.title, str(first), str(second)))
    return rows


def main() -> int:
    """Print both columns; 1 if ours has told a fence that did not take place."""
    with tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as folder:
        rows = columns(Path(folder))
    for row in (("node1 is asked for an off of node2's VM", "fencebus", "C, cpg"), *rows):
        print("| " + " | ".join(row) + " |")
    return int(any("FALSE" in row[1] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
