"""The lines that `config convert` prints for the guests, run by pcs and crm on a CIB that Pacemaker then judges."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_host.config.convert.conversion import GuestDevice, GuestNode
from fencebus_host.config.convert.guest_side import device_for
from fencebus_host.config.convert.pacemaker_lines import Lines, awkward_names, lines_for, parameters
from fencebus_host.config.load import load
from tests.components import require_program
from tests.interop.pacemaker import fencer
from tests.interop.programs import Answer, Make, Plan, Transport, run, site
from tests.interop.typed_lines import typed
from tests.interop.worlds import EVERY_KIND, write_world

NODES = ("node1", "node2")
RENAMED = GuestDevice(
    "fence_vm",
    "fence_xvm",
    (("key_file", "/etc/cluster/fence_xvm.key"), ("multicast_address", "225.0.0.13"), ("timeout", "40")),
    (GuestNode("node1", "vm1"), GuestNode("node2", "vm2")),
)
SAME_NAMES = GuestDevice("fence_vm", "fence_virt", (("ipaddr", "192.0.2.1"),), tuple(GuestNode(n, n) for n in NODES))
SERIAL = GuestDevice("fence_tty", "fence_virt", (("serial_device", "/dev/ttyS1"),), (GuestNode("node1", "node1", 2),))
COMMENT = "# "


@dataclass(frozen=True)
class Cib:
    """A CIB in a file, with two nodes that are up; the tools work on it as on a cluster's."""

    file: Path

    @property
    def root(self) -> ET.Element:
        return ET.parse(self.file).getroot()

    def make(self) -> None:
        """Write it, with nothing but the nodes."""
        empty = subprocess.run(
            [str(require_program("cibadmin", "pacemaker-cli-utils")), "--empty"], capture_output=True
        )
        root = ET.fromstring(empty.stdout)
        root.attrib |= {"have-quorum": "1", "dc-uuid": "1"}
        nodes, status = root.find("configuration/nodes"), root.find("status")
        assert nodes is not None
        assert status is not None
        up = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
        for number, name in enumerate(NODES, 1):
            ET.SubElement(nodes, "node", id=str(number), uname=name)
            state = ET.SubElement(status, "node_state", {"id": str(number), "uname": name, **up})
            ET.SubElement(ET.SubElement(state, "lrm", id=str(number)), "lrm_resources")
        self.file.write_bytes(ET.tostring(root))

    def typed(self, lines: Sequence[str], tool: str) -> Answer:
        """Type the lines of a tool, as an administrator would."""
        places = [f"{name}={self.file.parent}" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")]
        first = ["-f", str(self.file)] if tool == "pcs" else []
        return typed(lines, ["env", f"CIB_file={self.file}", *places], first)

    def judged(self) -> Answer:
        """What Pacemaker's own check says."""
        return run([str(require_program("crm_verify", "pacemaker-cli-utils")), "--xml-file", str(self.file), "-V"])

    def would_do(self) -> str:
        """What the cluster would do next with this CIB."""
        return run([str(require_program("crm_simulate", "pacemaker-cli-utils")), "-x", str(self.file), "-S"]).out

    def attributes(self, device: str) -> dict[str, str]:
        """The instance attributes of a device."""
        pairs = self.root.iterfind(f".//primitive[@id='{device}']/instance_attributes/nvpair")
        return {pair.attrib["name"]: pair.attrib["value"] for pair in pairs}


def commands(lines: Lines, examples: bool = True) -> list[str]:
    """The commands among the lines, those that are only examples too."""
    found = [line.removeprefix(COMMENT) if examples else line for line in lines.lines]
    return [line for line in found if line.startswith(f"{lines.tool} ") and "RESOURCE" not in line]


def applied(folder: Path, lines: Lines, examples: bool) -> Cib:
    folder.mkdir()
    cib = Cib(folder / "cib.xml")
    cib.make()
    done = cib.typed(commands(lines, examples), lines.tool)
    assert done.status == 0, done
    return cib


TWO_LEVELS = (RENAMED, SERIAL)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("devices", ((RENAMED,), TWO_LEVELS), ids=("one device", "two levels"))
def test_pcs_and_crm_make_of_them_what_pacemaker_finds_valid(tmp_path: Path, devices: tuple[GuestDevice, ...]) -> None:
    def apply(lines: Lines) -> Cib:
        return applied(tmp_path / lines.tool, lines, examples=len(devices) == 1)

    with ThreadPoolExecutor(2) as pool:
        cibs = list(pool.map(apply, lines_for(devices, two_nodes=True)))
    for cib in cibs:
        assert (cib.judged().status, cib.judged().err) == (0, ""), cib.file
        for device in devices:
            assert cib.attributes(device.name) == dict(parameters(device, two_nodes=True))
            assert f"Start      {device.name}" in cib.would_do()
        assert levels(cib) == {(node.name, node.level, each.name) for each in devices for node in each.nodes}


def levels(cib: Cib) -> set[tuple[str, int, str]]:
    """(node, level, device) of the topology."""
    found = cib.root.iterfind(".//fencing-topology/fencing-level")
    return {(level.attrib["target"], int(level.attrib["index"]), level.attrib["devices"]) for level in found}


def test_pacemaker_gives_up_later_than_the_client_and_looks_less_often_than_it_waits() -> None:
    found = dict(parameters(RENAMED, two_nodes=True))
    for action in ("reboot", "off", "on"):
        assert int(found[f"pcmk_{action}_timeout"].removesuffix("s")) > int(found["timeout"])
    pcs, crm = lines_for([RENAMED], two_nodes=True)
    assert "op monitor interval=60s timeout=50s" in pcs.lines[0]
    assert "op monitor interval=60s timeout=50s" in crm.lines[0]


def test_only_two_nodes_get_a_delay_and_only_other_names_a_map() -> None:
    assert "pcmk_delay_max" not in dict(parameters(RENAMED, two_nodes=False))
    assert dict(parameters(RENAMED, two_nodes=True))["pcmk_delay_max"] == "10s"
    assert dict(parameters(RENAMED, two_nodes=True))["pcmk_host_map"] == "node1:vm1;node2:vm2"
    same = dict(parameters(SAME_NAMES, two_nodes=False))
    assert "pcmk_host_map" not in same
    assert same["pcmk_host_list"] == "node1 node2"


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_pacemakers_fencer_reaches_the_daemon_with_the_parameters_made_from_its_configuration(
    tmp_path: Path, transport: Transport
) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", EVERY_KIND),), transport)
    with site(Make.OURS, plan, tmp_path / "site") as place, fencer(place, None) as pacemaker:
        (listener,) = load(place.folder / "fence_virt.conf").listeners
        device = device_for(listener, (GuestNode("node1", "alpha"), GuestNode("node2", "paula")))
        # Host and guest are one machine here, so the guest's copy of the key lies where the host's does.
        settings = {**dict(parameters(device, two_nodes=False)), "key_file": f"{place.folder}/key"}
        assert pacemaker.register(device.agent, **settings).status == 0
        assert pacemaker.admin("--fence", "node1").status == 0
        assert place.act(Make.OURS, "status", "alpha").told == (2, "Status: OFF\n")
        assert place.act(Make.OURS, "status", "paula").told == (0, "Status: ON\n")


def test_a_vm_whose_name_means_something_in_a_host_map_is_pointed_out() -> None:
    nodes = (GuestNode("a", "fine-1.x"), GuestNode("b", "not;fine"), GuestNode("c", "nor this"))
    assert awkward_names([GuestDevice("d", "fence_xvm", (), nodes)]) == ("not;fine", "nor this")


def test_a_name_from_a_file_does_not_become_a_command(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = f"x; touch {mark}; #"
    device = GuestDevice(evil, "fence_xvm", (("key_file", evil),), (GuestNode(evil, evil), GuestNode("b", "b")))
    for lines in lines_for([device, SERIAL], two_nodes=True):
        for command in commands(lines):
            # `true` in the tool's place: what counts is what the shell makes of the rest.
            subprocess.run(["sh", "-c", f"true {command.partition(' ')[2]}"], check=True, env=dict(os.environ))
    assert not mark.exists()
