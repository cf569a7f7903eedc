"""The cluster of hosts fences one of them: real corosync, real Pacemaker, real daemons (S13).

Pacemaker's agent kills whatever runs in the node's namespace, the QEMU of its VMs too.  The node is cut off first and
goes on running with them: nobody may say that a VM is off before the node was killed.  The clocks of all fencers are
two hours ahead of the daemons'.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fencebus_agent import process_table
from tests.corosync import Cluster, Node, cluster, wait_for
from tests.corosync_migration import migrate
from tests.corosync_site import Site, site
from tests.daemon_process import uuid_of
from tests.libvirtd import Libvirtd, guest_xml
from tests.pacemaker_nodes import Pacemaker, kill_all_on, pacemaker

pytestmark = [pytest.mark.xdist_group("corosync"), pytest.mark.timeout(300)]

VMS: tuple[dict[str, str], ...] = (
    {"node11": "52:54:00:00:01:01"},
    {},
    {f"node3{number}": f"52:54:00:00:03:0{number}" for number in range(1, 5)},
)
AT = re.compile(r"pacemaker rebooted node3 .* at (\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d)")
HOUR = timedelta(hours=1)


@dataclass
class Place:
    """Three hosts, their cluster, and its fencing."""

    cluster: Cluster
    pacemaker: Pacemaker
    second: Libvirtd
    """Of the second host, to which a VM may go."""
    libvirtd: Libvirtd
    """Of the third host, the VMs of which are QEMU's."""
    site: Site

    def runs(self, vm: str) -> bool:
        """Whether a VM of the third host has a process."""
        return any(qemu.vm == uuid_of(vm) for qemu in process_table.scan())

    def fails_soon(self, vm: str) -> bool:
        """Whether an administrator's fence on the first host fails, who has little patience."""
        done = self.administrator("fence", vm, "--yes", "--patience", "4")
        return done.returncode != 0 and "reason=host-silent" in self.verdict(vm)

    def administrator(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`fence_virtctl ...` on the first host."""
        first = self.site[1]
        argv = [*first.node.prefix, sys.executable, "-m", "fencebus_host.ctl", *arguments]
        config = ["-f", str(first.daemon.config_file)]
        return subprocess.run([*argv, *config], capture_output=True, text=True, timeout=60)

    def fails_saying(self, vm: str, words: str) -> bool:
        """Whether such a fence fails with these words; a look at the cluster may be cut off by its end, so again."""
        for _ in range(5):
            if not self.fails_soon(vm):
                return False
            if words in self.verdict(vm):
                return True
        return False

    def verdict(self, vm: str) -> str:
        """The last that the first host has decided about a VM."""
        return self.site[1].daemon.says(f"verdict request=.* target='{vm}'")[-1]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    tmp_path.chmod(0o755)
    with ExitStack() as stack:
        made = stack.enter_context(cluster(tmp_path))
        with ThreadPoolExecutor(1) as pool:  # each takes its time to begin
            starting = pool.submit(real_hosts, made.nodes[1:], stack)
            fencing = stack.enter_context(pacemaker(made, tmp_path / "pacemaker"))
            second, third = starting.result()
        uris = {node.name: "qemu:///system" for node in made.nodes[1:]}
        hosts = stack.enter_context(site(made, tmp_path, VMS, patience=12, uris=uris))
        yield Place(made, fencing, second, third, hosts)


def real_hosts(nodes: Sequence[Node], stack: ExitStack) -> list[Libvirtd]:
    """Their libvirts, and all VMs of the third host, as QEMU runs them."""
    started: list[Libvirtd] = []
    for node in nodes:
        if started:  # to ask QEMU what it can do takes 8 s, and its answer is the same
            shutil.copytree(started[0].folder / "cache", node.folder / "cache")
        started.append(stack.enter_context(Libvirtd(node.folder, node.prefix)))
    for name in VMS[2]:
        started[-1].admin.defineXML(guest_xml(name, uuid_of(name))).create()
    return started


def not_now(verdict: str) -> bool:
    """Whether a verdict tells of a fencing at another hour than its own."""
    logged, fenced = datetime.fromisoformat(verdict[:19]), AT.search(verdict)
    return fenced is not None and abs(datetime.fromisoformat(fenced[1]).replace(tzinfo=None) - logged) > HOUR


def test_a_vm_is_off_once_pacemaker_has_fenced_its_host_and_not_a_moment_before(place: Place) -> None:
    first, third, node = place.site[1], place.site[3], place.cluster.nodes[2]

    # Its daemon alone dies: its cluster says that it is alive, and so it is not fenced.
    third.daemon.process.stop(signal.SIGKILL)
    online = "pacemaker says that node3 is online: is only its fence_virtd dead?"
    assert place.fails_saying("node31", online), place.verdict("node31")
    third.daemon.process.start()
    wait_for(lambda: first.sees("node32") == "ON", "the third host")

    # It is cut off with its VMs running, but for one that is saved and one that has just left, of which its daemon can
    # tell nobody any more, while guests ask for fences.
    saved = place.libvirtd.admin.lookupByName("node31")
    saved.managedSave()
    wait_for(lambda: "saved" in place.administrator("owners", "node31").stdout, "word of the saved image")
    third.daemon.process.send(signal.SIGSTOP)
    migrate(place.libvirtd.admin.lookupByName("node34"), place.second.admin, place.cluster.nodes[1])
    place.cluster.cut(node)
    third.daemon.process.send(signal.SIGCONT)
    assert place.runs("node34")
    with ThreadPoolExecutor(3) as pool:
        asked, of_saved, of_gone = (pool.submit(first.fences, "off", vm) for vm in ("node32", "node31", "node34"))
        assert place.runs("node32")
        while not asked.done() and not place.pacemaker.has_fenced(node):
            time.sleep(0.02)
        assert place.pacemaker.has_fenced(node), place.verdict("node32")
        proven = time.monotonic()
        assert asked.result(), place.verdict("node32")
        assert not third.daemon.process.running
        assert not place.runs("node32")
        print(f"a success {time.monotonic() - proven:.2f} s after the fencing")
        assert "reason=proven-off" in place.verdict("node32")
        assert "pacemaker rebooted node3" in place.verdict("node32")
        assert not_now(place.verdict("node32")), "the fencer's clock was to be wrong"
        assert not of_saved.result()  # the image outlives the host
        assert "reason=host-silent" in place.verdict("node31")
        # Its host's death says nothing about a VM that had left: it was ended where it went.
        assert of_gone.result(), place.verdict("node34")
        assert not place.runs("node34")

    # What was fenced once proves nothing about now: it has started a VM by itself, and nobody hears it.
    place.libvirtd.lose_power()
    place.libvirtd.admin.lookupByName("node33").create()
    assert place.fails_saying("node33", "what it has done since is unknown"), place.verdict("node33")
    assert place.runs("node33")

    # It is back, and speaks for itself.
    place.cluster.mend(node)
    for killed in (third.daemon.process, node.corosync):
        killed.stop()
    node.corosync.start()
    place.cluster.wait_quorate([node])
    third.daemon.process.start()
    wait_for(lambda: first.sees("node33") == "ON", "the third host")
    assert first.fences("off", "node33")
    assert not place.runs("node33")
    assert "rebooted" not in place.verdict("node33").rpartition(" text=")[2]
    assert first.fences("off", "node31")
    assert not place.libvirtd.admin.lookupByName("node31").hasManagedSaveImage()


@pytest.mark.skipif("FENCEBUS_LONG" not in os.environ, reason="takes half a minute; FENCEBUS_LONG=1 runs it")
def test_who_confirms_to_pacemaker_that_a_host_is_down_has_confirmed_it_to_us(place: Place) -> None:
    first, node = place.site[1], place.cluster.nodes[2]
    place.pacemaker.switch.stop()  # as where the power switch does not answer: the cluster's own fencing hangs
    kill_all_on(node)
    assert not first.fences("off", "node32")
    assert "reason=host-silent" in place.verdict("node32")
    first.node.does("stonith_admin", "--confirm", node.name)
    wait_for(lambda: first.fences("off", "node32"), "success by an operator's word")
    assert "somebody confirmed to pacemaker that node3 is down" in place.verdict("node32")
    assert first.fences("off", "node31")  # it stands for later requests, too
    place.pacemaker.lets_agents_end(node)
