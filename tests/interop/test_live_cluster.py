"""The lines that `config convert` prints, typed on a running cluster: Pacemaker fences through them, by itself too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.ctl.doctor.corosync import check_corosync
from fencebus_host.ctl.doctor.findings import Level
from fencebus_host.ctl.doctor.hypervisors import check_resources
from fencebus_host.ctl.survey import Guest, Hypervisor
from fencebus_host.ctl.survey import Site as Host
from fencebus_host.routers.checkpoint.reach import Reach
from tests.components import CHECKOUT
from tests.interop.cluster import Cluster, cluster
from tests.interop.programs import Make, Plan, Site, Transport, site
from tests.interop.typed_lines import typed
from tests.interop.worlds import Vm, write_world

pytestmark = pytest.mark.timeout(120)

NODES = {"node1": "vm1", "node2": "vm2", "node3": "vm3"}
"""The nodes of the guests' cluster, and the VMs that they are."""


def cluster_conf(key: Path) -> str:
    """What the guests' cluster was under cman."""
    nodes = "".join(
        f'<clusternode name="{node}" nodeid="{number}"><fence><method name="1"><device name="vm" domain="{vm}"/>'
        "</method></fence></clusternode>"
        for number, (node, vm) in enumerate(NODES.items(), 1)
    )
    device = f'<fencedevice agent="fence_xvm" name="vm" key_file="{key}"/>'
    return (
        f'<cluster name="guests" config_version="1"><clusternodes>{nodes}</clusternodes>'
        f"<fencedevices>{device}</fencedevices></cluster>"
    )


def lines_for(tool: str, folder: Path, key: Path) -> list[str]:
    """The commands that fence_virtctl prints for this tool."""
    source = folder / "cluster.conf"
    source.write_text(cluster_conf(key))
    command = [sys.executable, "-m", "fencebus_host.ctl", "config", "convert", str(source), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in json.loads(done.stdout)["guests"][tool] if not line.startswith("#")]


def types(running: Cluster, lines: list[str]) -> None:
    """Type the lines of one tool on the node."""
    done = typed(lines, running.at_home)
    assert done.status == 0, done


def devices(running: Cluster) -> list[str]:
    """The words of Pacemaker's list of the devices that it would fence with."""
    return running.does("stonith_admin --list-registered").out.split()


def verdicts(place: Site, vm: str) -> list[str]:
    """The daemon's lines on what became of the fences of a VM."""
    return [line for line in place.log.splitlines() if " verdict " in f" {line}" and f"target='{vm}'" in line]


def doctor_sees(running: Cluster) -> None:
    """What the doctor of a host makes of a cluster that the host is in, and of a VM that this cluster starts."""
    host = Host((Hypervisor("test:///default", (Guest("vm2", "u", True),)),), (), True, False, False)
    settings = load_text("listeners { vsock { } }", "x", read_keys=False)
    (quorate,) = check_corosync(
        settings, host, lambda: Reach(quorate=running.does("corosync-quorumtool -s").status == 0)
    )
    assert (quorate.level, quorate.code) == (Level.OK, "corosync-quorate")
    attributes = (
        '<instance_attributes id="i"><nvpair id="n" name="config" value="/none/vm2.xml"/></instance_attributes>'
    )
    resource = f'<primitive id="res" class="ocf" provider="heartbeat" type="VirtualDomain">{attributes}</primitive>'
    assert running.does(f"cibadmin --create --scope resources --xml-text '{resource}'").status == 0
    (undone,) = check_resources(running.does("cibadmin --query --local").out.encode(), host)
    assert "vm2 is the resource res of this host's Pacemaker, which starts it again" in undone.text


def test_a_cluster_fences_by_itself_and_by_command_with_the_lines_of_pcs_and_with_those_of_crm(tmp_path: Path) -> None:
    one_file = tmp_path / "fence_virt"
    builder = CHECKOUT / "guest_client" / "build_onefile.py"
    subprocess.run([sys.executable, builder, "--output", one_file], check=True, capture_output=True)
    plan = Plan((write_world(tmp_path / "world.xml", map(Vm, NODES.values())),), Transport.MULTICAST)
    with site(Make.OURS, plan, tmp_path / "site") as place:
        key = place.folder / "key"
        with cluster(place.network, tmp_path / "cluster", one_file, tuple(NODES)) as running:
            types(running, lines_for("pcs", tmp_path, key))
            # Nobody asks for it: the others were never seen, and now there is a way to make sure of them.
            place.daemon.wait_until(lambda: bool(verdicts(place, "vm2")), 30, "fencing")
            place.daemon.wait_until(
                lambda: "OFFLINE: [ node2 node3 ]" in running.does("crm_mon -1").out, 30, "told that it is off"
            )
            assert "ok=yes reason=rebooted" in verdicts(place, "vm2")[0]
            before = len(verdicts(place, "vm3"))
            assert running.does("stonith_admin --reboot node3").status == 0
            assert "reboot of node2" in running.does("stonith_admin --history node2").out

            assert "vm" in devices(running)
            # As `pcs stonith delete` does, which waits for seconds in between.
            assert running.does("cibadmin --delete --scope resources --xml-text '<primitive id=\"vm\"/>'").status == 0
            place.daemon.wait_until(lambda: "vm" not in devices(running), 30, "rid of the device")
            types(running, lines_for("crm", tmp_path, key))
            assert running.does("pcs stonith fence node3").status == 0
            assert running.does("stonith_admin --fence node2").status == 0
            assert place.act(Make.OURS, "status", "vm2").told == (2, "Status: OFF\n")
            assert len(verdicts(place, "vm3")) >= before + 2
            doctor_sees(running)
        assert all("ok=yes" in line for vm in NODES.values() for line in verdicts(place, vm))
