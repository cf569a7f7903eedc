"""Fences across the hosts of a real corosync cluster: real daemons, the C client before them, libvirt's test driver."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_schemas.model import Action
from tests.corosync import Cluster, wait_for
from tests.corosync_site import Site, site

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("corosync")]

VMS = [
    {f"node{number}": f"52:54:00:00:00:0{number}", f"node{number}0": f"52:54:00:00:01:0{number}"}
    for number in (1, 2, 3)
]
EVERYTHING = {name for own in VMS for name in own}


@pytest.fixture(scope="module")
def hosts(three: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three hosts with two VMs each, which run."""
    folder: Path = tmp_path_factory.mktemp("hosts")
    with site(three, folder, VMS) as made:
        yield made


def test_a_vm_of_another_host_is_switched_off_on_and_rebooted_and_everybody_sees_it(hosts: Site) -> None:
    assert hosts[1].sees("node2") == "ON"
    assert hosts[1].fences(Action.OFF, "node2")
    assert [hosts[number].sees("node2") for number in (1, 2, 3)] == ["OFF"] * 3
    assert hosts[3].fences(Action.OFF, "node2")  # it is off already, and that is proven again
    assert hosts[3].fences(Action.ON, "node2")
    assert hosts[1].sees("node2") == "ON"
    before = hosts[2].daemon.log
    assert hosts[1].fences(Action.REBOOT, "node2")
    assert [hosts[number].sees("node2") for number in (1, 2, 3)] == ["ON"] * 3
    assert hosts[2].daemon.log != before or hosts[1].daemon.says("reason=rebooted")


def test_every_host_lists_the_vms_of_all(hosts: Site) -> None:
    assert hosts[1].fences(Action.OFF, "node30")
    expected = dict.fromkeys(EVERYTHING, "on") | {"node30": "off"}
    assert [hosts[number].lists() for number in (1, 2, 3)] == [expected] * 3
    assert hosts[2].fences(Action.ON, "node30")


@pytest.mark.parametrize("name", ("nosuch", "NODE2", "99999999-0000-4000-8000-000000000000"))
def test_a_vm_that_nobody_knows_is_never_fenced(hosts: Site, name: str) -> None:
    assert not hosts[1].fences(Action.OFF, name)
    assert hosts[1].sees("node2") == "ON"


def test_a_daemon_that_was_killed_makes_its_vms_unknown_at_once_and_is_whole_again_when_it_is_back(hosts: Site) -> None:
    daemon = hosts[3].daemon
    daemon.process.stop(signal.SIGKILL)
    wait_for(lambda: hosts[1].sees("node3") == "", "silence of the third host")
    told = "node3 has left the group: its daemon has ended, its node has not; its VMs may still run"
    wait_for(lambda: told in hosts[1].daemon.log, "word of what has ended")
    daemon.process.start()
    # The test driver's VMs have died with the daemon that had them, and run anew in the next.
    wait_for(lambda: hosts[1].sees("node3") == "ON", "return of the third host")
    wait_for(lambda: set(hosts[3].lists()) == EVERYTHING, "view of the third host")


def test_a_corosync_that_is_killed_under_a_daemon_makes_requests_fail_in_time_and_is_joined_again(hosts: Site) -> None:
    node = hosts[2].node
    node.kill_corosync()
    wait_for(lambda: "corosync: no quorum" in hosts[2].daemon.log, "end of the quorum")
    assert not hosts[2].fences(Action.OFF, "node1")
    assert hosts[1].sees("node1") == "ON"
    assert hosts[2].fences(Action.OFF, "node2"), hosts[2].daemon.log  # its own it has seen die
    node.corosync.start()
    wait_for(lambda: hosts[1].sees("node2") == "OFF", "return of the second host")
    wait_for(lambda: hosts[2].sees("node1") == "ON", "view of the second host")
    assert hosts[2].fences(Action.ON, "node2")


def test_a_host_in_a_minority_declares_nothing_off_but_its_own(hosts: Site) -> None:
    hosts.cluster.cut(hosts[1].node)
    try:
        wait_for(lambda: not hosts[1].node.is_quorate(), "minority")
        wait_for(lambda: hosts[2].sees("node1") == "", "silence of the first host")
        assert not hosts[1].fences(Action.OFF, "node2")
        assert not hosts[2].fences(Action.OFF, "node1")
        assert hosts[1].fences(Action.OFF, "node1")
        assert "node1 has left the group: its node has left the cluster; its VMs may still run" in hosts[2].daemon.log
    finally:
        hosts.cluster.mend(hosts[1].node)
    hosts.cluster.wait_quorate()
    wait_for(lambda: hosts[2].sees("node1") == "OFF", "return of the first host")
    assert hosts[2].sees("node2") == "ON"
    assert hosts[2].fences(Action.ON, "node1")
