"""A real Pacemaker on the nodes of a corosync cluster, whose fence agent has killed whatever runs on a node.

A node sees its own processes alone, so that the agent can only ask: the switch is a thread of the test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_file, require_program
from tests.corosync import Cluster, Node, NodeProcess, wait_for

AGENT = "fence_ipmilan"
"""The agent in whose place ours is seen on the nodes."""
AHEAD = "+2h"
"""How far the fencers' clocks are off; those of our daemons and of corosync are right."""
_CLOCK = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
_CIB = """\
<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="1">
  <configuration>
    <crm_config>
      <cluster_property_set id="options">
        <nvpair id="dc-deadtime" name="dc-deadtime" value="2s"/>
      </cluster_property_set>
    </crm_config>
    <nodes/>
    <resources>
      <primitive id="power" class="stonith" type="{agent}">
        <instance_attributes id="power-options">
          <nvpair id="power-hosts" name="pcmk_host_list" value="{names}"/>
          <nvpair id="power-check" name="pcmk_host_check" value="static-list"/>
        </instance_attributes>
      </primitive>
    </resources>
    <constraints/>
  </configuration>
  <status/>
</cib>
"""
_PROGRAM = """\
#!/bin/sh
folder=FOLDER
while read -r line; do
    case "$line" in action=*) action=${line#action=};; plug=*|port=*) plug=${line#*=};; esac
done
case "$action" in
metadata) cat "$folder/metadata" ;;
off|reboot)
    echo "$action" > "$folder/$plug.asked"
    while [ ! -e "$folder/$plug.fenced" ]; do sleep 0.05; done ;;
esac
exit 0
"""
_METADATA = f"""\
<?xml version="1.0"?>
<resource-agent name="{AGENT}" shortdesc="Ends what runs on a node of a test">
<parameters>
<parameter name="action"><content type="string" default="reboot"/></parameter>
<parameter name="plug"><content type="string"/></parameter>
</parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/>
<action name="monitor"/><action name="metadata"/></actions>
</resource-agent>
"""
_START = """\
mount --make-rprivate /
cp -a /var/lib/pacemaker/. OWN/lib/
mount --bind OWN/lib /var/lib/pacemaker
mount --bind OWN/log /var/log
mount --bind FOLDER/agent /usr/sbin/AGENT
mkdir -p /run/crm
cp FOLDER/cib.xml /var/lib/pacemaker/cib/cib.xml
chown -R hacluster:haclient /run/crm /var/lib/pacemaker
chmod 600 /var/lib/pacemaker/cib/cib.xml
export LD_PRELOAD=CLOCK FAKETIME=AHEAD DONT_FAKE_MONOTONIC=1
exec env PCMK_logfile=OWN/log/pacemaker.log PCMK_logfacility=none /usr/sbin/pacemakerd -f
"""


@dataclass(frozen=True)
class Pacemaker:
    """Pacemaker on all nodes."""

    folder: Path
    switch: Switch

    def has_fenced(self, node: Node) -> bool:
        """Whether its agent has killed what ran on a node."""
        return (self.folder / f"{node.name}.fenced").exists()

    def lets_agents_end(self, node: Node) -> None:
        """They say that the node was fenced, whatever runs there."""
        (self.folder / f"{node.name}.fenced").touch()

    def all_online(self, nodes: int, on: Node) -> bool:
        """Whether one node sees so many online, and their fence device at work."""
        argv = [*on.prefix, "crm_mon", "--one-shot", "--output-as=xml"]
        told = subprocess.run(argv, capture_output=True, text=True).stdout
        return told.count('online="true"') == nodes and 'role="Started"' in told


class Switch(threading.Thread):
    """Kills a node when an agent asks for it, and answers when it has."""

    def __init__(self, folder: Path, nodes: Sequence[Node]) -> None:
        super().__init__(name="switch", daemon=True)
        self._folder, self._nodes, self._over = folder, nodes, threading.Event()

    def run(self) -> None:
        """Until ``stop``."""
        while not self._over.wait(0.02):
            for node in self._nodes:
                if (self._folder / f"{node.name}.asked").exists():
                    kill_all_on(node)
                    (self._folder / f"{node.name}.asked").unlink()
                    (self._folder / f"{node.name}.fenced").touch()

    def stop(self) -> None:
        """It watches no more, so that no agent comes to an end."""
        self._over.set()
        self.join()


def kill_all_on(node: Node) -> None:
    """What a loss of power does to a node: nothing of it is left but its namespaces."""
    network = os.readlink(f"/proc/{node.holder}/ns/net")
    for pid in (int(each) for each in os.listdir("/proc") if each.isdigit()):
        with suppress(OSError):
            keeps = pid == node.holder or _number_on_its_node(pid) == "1"
            if not keeps and os.readlink(f"/proc/{pid}/ns/net") == network:
                os.kill(pid, signal.SIGKILL)


def _number_on_its_node(pid: int) -> str:
    """Its process id there: 1 is what keeps the node's namespaces."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))


@contextmanager
def pacemaker(cluster: Cluster, folder: Path) -> Iterator[Pacemaker]:
    """Running on every node, and ready to fence, until the context ends."""
    program = require_file("/usr/sbin/pacemakerd", "pacemaker")
    require_file(f"/usr/sbin/{AGENT}", "fence-agents")
    require_program("crm_mon", "pacemaker-cli-utils")
    places = {"FOLDER": str(folder), "AGENT": AGENT, "AHEAD": AHEAD, "CLOCK": str(require_file(_CLOCK, "libfaketime"))}
    folder.mkdir()
    _write(folder, cluster)
    switch = Switch(folder, cluster.nodes)
    switch.start()
    with ExitStack() as stack:
        stack.callback(switch.stop)
        for node in cluster.nodes:
            own = folder / f"on-{node.name}"
            for part in ("lib", "log"):
                (own / part).mkdir(parents=True)
            script = _with(_START, places | {"OWN": str(own)})
            server = NodeProcess([*node.prefix, "unshare", "--mount", "sh", "-ec", script], own / "output")
            server.start()
            stack.callback(server.stop)
        made = Pacemaker(folder, switch)
        assert program.exists()
        wait_for(lambda: made.all_online(len(cluster.nodes), cluster.nodes[0]), "Pacemaker on all nodes", 120.0)
        yield made


def _with(text: str, values: Mapping[str, str]) -> str:
    """A script, with what stands for its words."""
    for word, value in values.items():
        text = text.replace(word, value)
    return text


def _write(folder: Path, cluster: Cluster) -> None:
    names = " ".join(node.name for node in cluster.nodes)
    (folder / "cib.xml").write_text(_CIB.format(agent=AGENT, names=names))
    (folder / "metadata").write_text(_METADATA)
    (folder / "agent").write_text(_PROGRAM.replace("FOLDER", str(folder)))
    (folder / "agent").chmod(0o755)
