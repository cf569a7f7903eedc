"""Whether this host could be in its hosts' group, as a real corosync says it, or does not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host.routers.checkpoint import reach
from fencebus_host.routers.checkpoint.reach import Reach
from tests.corosync import Cluster, Node

pytestmark = pytest.mark.xdist_group("corosync")

ASKING = "from fencebus_host.routers.checkpoint import reach; print(reach.look(0.5 if {frozen} else 20.0))"


def asked_on(node: Node, frozen: bool = False) -> str:
    argv = [*node.prefix, sys.executable, "-c", ASKING.format(frozen=frozen)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=40).stdout.strip()


def test_a_corosync_that_runs_lets_the_daemon_in(three: Cluster) -> None:
    assert asked_on(three.nodes[0]) == repr(Reach(quorate=True))


def test_a_frozen_corosync_is_waited_for_a_moment(three: Cluster) -> None:
    three.nodes[0].corosync.send(signal.SIGSTOP)
    try:
        assert "corosync has not answered for 0.5 s" in asked_on(three.nodes[0], frozen=True)
    finally:
        three.nodes[0].corosync.send(signal.SIGCONT)


def test_where_no_corosync_runs_that_is_said(three: Cluster) -> None:
    found = reach.look()  # of the machine on which the tests run, where there is none
    assert found.trouble.startswith("corosync does not run")
    assert not found.quorate


def explained_on(node: Node, folder: Path) -> str:
    """What `fence_virtd --explain-discovery` says there."""
    config = folder / "fence_virt.conf"
    config.write_text(f'fence_virtd {{ state_dir = "{folder / "state"}"; }} listeners {{ serial {{ }} }}')
    argv = [*node.prefix, sys.executable, "-m", "fencebus_host.daemon", "-f", str(config), "--explain-discovery"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=40).stdout


def test_discovery_takes_the_cluster_of_a_host_and_waits_for_one_that_does_not_answer(
    three: Cluster, tmp_path: Path
) -> None:
    node = three.nodes[2]
    assert "take: router checkpoint: no VDSM, no manager; no bus; corosync runs" in explained_on(node, tmp_path)
    node.corosync.send(signal.SIGSTOP)
    try:
        told = explained_on(node, tmp_path)
        assert "wait: corosync runs, but: corosync has not answered for 3 s: waiting for it" in told
    finally:
        node.corosync.send(signal.SIGCONT)
    three.wait_quorate()


def test_the_doctor_asks_corosync(three: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "fence_virt.conf"
    text = f'fence_virtd {{ backend = "cpg"; state_dir = "{tmp_path}"; }} listeners {{ serial {{ }} }}'
    config.write_text(text + ' backends { cpg { uri = "test:///default"; name_mode = "uuid"; } }')
    node = three.nodes[1]
    argv = [*node.prefix, sys.executable, "-m", "fencebus_host.ctl", "doctor", "-f", str(config)]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout
    assert "corosync lets fence_virtd into the hosts' group, and is quorate" in told, told
