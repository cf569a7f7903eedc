"""Hosts that die, come back, are forgotten or lose what they knew, with real VMs: no fence that did not take place.

The VMs are QEMU's and outlive the daemons; a node that dies takes them along.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.corosync import NodeProcess, wait_for
from tests.corosync_columns import OurDaemons, World
from tests.pacemaker_nodes import kill_all_on

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("corosync-qemu")]

UNKNOWN = ("unknown-vm", "host-silent")
"""Why nothing is off of a host that nobody, or only somebody, knows any more."""
TRIES = 5
"""On a busy machine the two seconds of a request are short; an off may be repeated."""


@dataclass(frozen=True)
class Ground:
    """Three hosts, of which the first is asked and the third is lost."""

    world: World
    side: OurDaemons

    def daemon(self, number: int) -> NodeProcess:
        """A host's."""
        process = self.side.process(number)
        assert isinstance(process, NodeProcess)
        return process

    def wake(self, number: int) -> None:
        """Let the daemon of a host go on if it was stopped; start it if it was killed, and wait till it is ready."""
        daemon, process = self.side.host(number).daemon, self.daemon(number)
        if process.running:
            process.send(signal.SIGCONT)
            return
        before = len(daemon.log)
        process.start()
        daemon.wait_for_line("fence_virtd ready", before)

    def wipe(self, number: int) -> None:
        """Remove all that the daemon of a host has written down, and start it anew."""
        self.daemon(number).stop(signal.SIGKILL)
        shutil.rmtree(self.side.host(number).daemon.state_dir)
        self.wake(number)

    def refused(self, number: int, vm: str) -> str:
        """Why an off fails on a host; the VM's process lives on."""
        before = self.world.processes("node3")
        success, answered = self.side.asks(number, "off", vm)
        told = self.verdict(number, vm)
        assert (success, answered) == (False, True), told
        assert self.world.processes("node3") == before, told
        print(told)
        return told.partition(" reason=")[2].partition(" ")[0]

    def fences(self, number: int, vm: str) -> bool:
        """Whether an off succeeds, and the VM is dead then."""
        done = any(self.side.asks(number, "off", vm)[0] for _ in range(TRIES))
        return done and not self.world.runs(vm)

    def verdict(self, number: int, vm: str) -> str:
        """The last on a VM, by its name or its UUID, in the log of a host."""
        return self.side.host(number).daemon.says(f"verdict request=.* target='{vm}'")[-1]

    def operator(self, number: int, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """`fence_virtctl host WORDS HOST` on a host."""
        here = self.side.host(number)
        argv = [*here.node.prefix, sys.executable, "-m", "fencebus_host.ctl", "host", *words, host]
        config = ["-f", str(here.daemon.config_file)]
        return subprocess.run([*argv, *config], input=f"{host}\n", capture_output=True, text=True, timeout=60)

    def third_dies(self) -> None:
        """Power, and all that ran there."""
        kill_all_on(self.world.cluster.nodes[2])
        wait_for(lambda: self.side.host(1).sees("node3") == "", "silence of the third host")

    def third_boots(self) -> None:
        """Its libvirtd is up again, and neither corosync nor our daemon."""
        self.world.libvirts[2].lose_power()

    def third_joins(self) -> None:
        """Now these too."""
        node = self.world.cluster.nodes[2]
        for process in (self.daemon(3), node.corosync):
            process.stop(signal.SIGKILL)
        node.corosync.start()
        self.world.cluster.wait_quorate([node])
        self.daemon(3).start()


@pytest.fixture
def ground(stage: tuple[World, OurDaemons]) -> Iterator[Ground]:
    """All run and see each other, before and after."""
    made = Ground(*stage)
    made.world.run_all()
    made.side.wait()
    try:
        yield made
    finally:
        for number in (1, 2, 3):
            made.wake(number)
    made.world.run_all()
    made.side.wait()


def test_s13_a_host_that_its_own_watchdog_reboots_is_not_dead_and_not_when_it_is_up_without_us(ground: Ground) -> None:
    """No cluster has fenced it, so nobody proves anything; then its VM runs anew, and nobody hears of it."""
    ground.third_dies()
    assert not ground.world.runs("node3")
    assert ground.refused(1, "node3") == "host-silent"
    ground.third_boots()
    ground.world.libvirts[2].admin.lookupByName("node3").create()
    assert ground.refused(1, "node3") == "host-silent"
    assert ground.world.runs("node3")
    ground.third_joins()
    assert ground.fences(1, "node3"), ground.verdict(1, "node3")


def test_a_host_that_was_forgotten_on_one_host_alone_while_its_vm_runs_makes_no_vm_off_and_is_back_when_it_speaks(
    ground: Ground,
) -> None:
    for number in (2, 3):
        ground.daemon(number).stop(signal.SIGKILL)
    wait_for(lambda: ground.side.host(1).sees("node3") == "", "silence of the third host")
    assert "last known to have" in ground.operator(1, "node3", "forget").stderr
    forgotten = ground.operator(1, "node3", "forget", "--with-vms")
    assert forgotten.returncode == 0, forgotten
    ground.wake(2)  # it knows nothing of that yet
    assert ground.refused(2, "node3") in UNKNOWN
    wait_for(lambda: ground.side.host(1).sees("node2") == "ON", "word of the second host")
    assert ground.refused(1, "node3") in UNKNOWN
    ground.wake(3)
    ground.side.wait()
    assert ground.fences(2, "node3"), ground.verdict(2, "node3")


def test_s2_hosts_whose_state_folders_were_wiped_declare_nothing_off_of_one_that_they_no_longer_know(
    ground: Ground,
) -> None:
    vm = ground.world.uuids["node3"]
    for number in (2, 3):
        ground.daemon(number).stop(signal.SIGKILL)
    ground.wipe(1)  # corosync still says that there is a quorum
    assert ground.refused(1, vm) in ("hypervisor-error", *UNKNOWN)  # nobody has answered that it could ask
    ground.wipe(2)
    wait_for(lambda: ground.side.host(1).sees("node2") == "ON", "word of the second host")
    assert ground.refused(1, vm) in UNKNOWN
    assert ground.refused(2, "node3") in UNKNOWN
    ground.wake(3)
    ground.side.wait()
    assert ground.fences(1, "node3"), ground.verdict(1, "node3")


@pytest.mark.skipif("FENCEBUS_LONG" not in os.environ, reason="its like with Pacemaker runs; FENCEBUS_LONG=1 runs it")
def test_s13_a_vm_that_left_just_before_its_host_died_with_the_news_runs_and_is_ended_where_it_is(
    ground: Ground,
) -> None:
    for number in (2, 3):  # neither tells of it
        ground.daemon(number).send(signal.SIGSTOP)
    ground.world.migrate("node3", 3, 2)
    ground.third_dies()
    confirmed = ground.operator(1, "node3", "confirm-dead")
    assert confirmed.returncode == 0, confirmed
    # The word is true, and stands for that host alone: the other has not denied.
    assert ground.refused(1, "node3") == "host-silent"
    assert ground.world.runs("node3")
    ground.wake(2)
    assert ground.fences(1, "node3"), ground.verdict(1, "node3")
    ground.third_boots()
    ground.third_joins()
