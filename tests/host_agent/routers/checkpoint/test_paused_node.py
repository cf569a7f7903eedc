"""A node that stands still and goes on an hour later: nothing that it had in hand is carried out then (S12).

The VMs are QEMU's and go on meanwhile; daemon and corosync of the node are stopped by SIGSTOP, and its daemon's clocks
are an hour further when it goes on.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import later_daemon
from tests.corosync import NodeProcess, wait_for
from tests.corosync_c import ADDRESS
from tests.corosync_columns import NAMES, OurDaemons, World
from tests.corosync_site import PORT
from tests.interop.programs import Make, client_program

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("corosync-qemu")]

HOUR = 3600.0
PATIENCE = 25
"""Seconds of a guest's request at the node that will stand still: long enough to be in its hand then."""
GIVEN_UP = re.compile(r"verdict request=.* target='node3' .* ok=no .* seconds=36\d\d\.")


@dataclass
class Sleeper:
    """node2, whose daemon runs on clocks of its own."""

    world: World
    side: OurDaemons
    ahead: Path
    clients: list[NodeProcess] = field(default_factory=list)

    @property
    def daemon(self) -> NodeProcess:
        """As it runs now."""
        process = self.side.process(2)
        assert isinstance(process, NodeProcess)
        return process

    @property
    def corosync(self) -> NodeProcess:
        """The node's."""
        return self.world.cluster.nodes[1].corosync

    def an_hour_passes(self) -> None:
        """For its daemon, which must be stopped."""
        self.ahead.write_bytes(later_daemon.AHEAD.pack(HOUR))

    def is_asked(self, vm: str) -> NodeProcess:
        """A client on the node asks it for an off, and waits."""
        where: list[str | Path] = ["-T", ADDRESS, "-p", str(PORT), "-k", self.side.key]
        argv = [
            *self.world.cluster.nodes[1].prefix,
            client_program(Make.C, "fence_virt"),
            *where,
            "-o",
            "off",
            "-n",
            vm,
        ]
        asks = NodeProcess(argv, self.ahead.with_name(f"off-{vm}"))
        asks.start()
        self.clients.append(asks)
        return asks


@pytest.fixture
def sleeper(stage: tuple[World, OurDaemons], tmp_path: Path) -> Iterator[Sleeper]:
    """Its daemon is the same program with the same configuration, but for its clocks and the patience of its guests."""
    world, side = stage
    daemon = side.host(2).daemon
    plain, identity = daemon.process, daemon.daemon
    ahead = tmp_path / "ahead"
    ahead.write_bytes(later_daemon.AHEAD.pack(0.0))
    program = plain.argv.index("-m")
    argv = [*plain.argv[:program], "-P", later_daemon.__file__, str(ahead), *plain.argv[program + 2 :]]
    plain.stop()
    daemon.daemon = identity.replace('request_timeout = "2"', f'request_timeout = "{PATIENCE}"')
    daemon.configure()
    daemon.process = NodeProcess(argv, tmp_path / "log")
    daemon.process.start()
    made = Sleeper(world, side, ahead)
    try:
        yield made
    finally:
        for stopped in (made.daemon, made.corosync):
            stopped.send(signal.SIGCONT)
        for client in made.clients:
            client.stop(signal.SIGKILL)
        daemon.process.stop()
        daemon.process, daemon.daemon = plain, identity
        daemon.configure()
        plain.start()


def test_s12_a_node_that_stood_still_for_an_hour_carries_out_nothing_that_it_had_in_hand(sleeper: Sleeper) -> None:
    world, side = sleeper.world, sleeper.side
    world.run_all()
    side.wait()
    before = {vm: world.processes(vm) for vm in NAMES}

    # What its guest asks for waits for node3, whose daemon has died: node3 would do it at once if it were back.
    side.process(3).stop(signal.SIGKILL)
    in_hand = sleeper.is_asked("node3")
    sleeper.daemon.wait_for_output("accepted request=")
    sleeper.daemon.send(signal.SIGSTOP)
    # What another host orders lies unread in its corosync, and at its door what a guest asks for that will not wait.
    ordered = side.asks(1, "off", "node2")
    assert ordered == (False, True)
    at_the_door = sleeper.is_asked("node1")
    sleeper.corosync.send(signal.SIGSTOP)
    side.process(3).start()
    first, third = side.host(1), side.host(3)
    wait_for(lambda: first.sees("node3") == "ON" and third.sees("node2") == "", "a cluster without node2")
    assert in_hand.running
    at_the_door.stop(signal.SIGKILL)

    sleeper.an_hour_passes()
    sleeper.daemon.send(signal.SIGCONT)
    # Nobody but itself has told it how late it is.
    sleeper.daemon.wait_until(
        lambda: bool(GIVEN_UP.search(sleeper.daemon.output)), what="giving up what it had in hand"
    )
    assert in_hand.wait(60) != 0
    sleeper.corosync.send(signal.SIGCONT)
    wait_for(lambda: set(side.host(2).lists()) == set(first.lists()) == set(NAMES), "return of node2")
    wait_for(lambda: first.sees("node2") in ("ON", "OFF"), "word of node2")
    assert {vm: world.processes(vm) for vm in NAMES} == before, sleeper.daemon.output
    side.wait()
    # It is whole: what is asked for now is done.
    assert any(side.asks(1, "off", "node2")[0] for _ in range(5)), sleeper.daemon.output
    assert not world.runs("node2")
