"""Whether this host could be in its hosts' group, as a real corosync says it, or does not."""

from __future__ import annotations

import signal
import subprocess
import sys

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
