"""A real cluster of one node, corosync and Pacemaker, with files of its own, in the network of a daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_file, require_program, require_root
from tests.interop.network import Network
from tests.interop.programs import Answer, run

HERE = "node1"
"""The node that runs; the others are known and were never seen, so that Pacemaker fences them as soon as it can."""
# Everything that the cluster's programs share among themselves lies in these places.
_OWN_PLACES = {"/run": "run", "/var/lib/pacemaker": "pcmk", "/var/lib/corosync": "totem", "/var/log": "log"}
_PACEMAKERS = "/run/crm /var/lib/pacemaker/cib /var/lib/pacemaker/pengine /var/log/pacemaker /var/log/crmsh"
_COROSYNC_CONF = f"""\
totem {{
  version: 2
  cluster_name: guests
  transport: udpu
}}
nodelist {{
  node {{
    ring0_addr: 127.0.0.1
    name: {HERE}
    nodeid: 1
  }}
}}
quorum {{
  provider: corosync_votequorum
  expected_votes: 1
}}
logging {{
  to_stderr: yes
  to_syslog: no
}}
system {{
  sched_rr: no
  move_to_root_cgroup: no
}}
"""
# Pacemaker waits 20 s for a coordinator that there may be; here is none but ourselves.
_NO_WAIT = (
    '<cluster_property_set id="cib-bootstrap-options">'
    '<nvpair id="wait" name="dc-deadtime" value="1s"/></cluster_property_set>'
)


@dataclass(frozen=True)
class Cluster:
    """The running cluster; ``does`` runs what an administrator types on its node."""

    prefix: tuple[str, ...]
    home: Path

    @property
    def at_home(self) -> tuple[str, ...]:
        """What runs a program on the node for an administrator: pcs and crm keep caches and settings at home."""
        folders = [f"{name}={self.home}" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")]
        return (*self.prefix, "env", *folders)

    def does(self, line: str) -> Answer:
        """Run one line in a shell."""
        return run([*self.at_home, "sh", "-c", line])


def _script(folder: Path, agent: Path, nodes: Sequence[str]) -> str:
    known = "".join(f'<node id="{number}" uname="{name}"/>' for number, name in enumerate(nodes, 1))
    filled = f"s|<crm_config/>|<crm_config>{_NO_WAIT}</crm_config>|; s|<nodes/>|<nodes>{known}</nodes>|"
    return "\n".join(
        [
            *_places(folder),
            f"mount --bind {agent} {require_file('/usr/sbin/fence_virt', 'fence-virt')}",
            f"mkdir -p {_PACEMAKERS}",
            f"cibadmin --empty | sed '{filled}' >/var/lib/pacemaker/cib/cib.xml",
            "chown -R hacluster:haclient /run/crm /var/lib/pacemaker /var/log/pacemaker",
            f"corosync -f -c {folder}/corosync.conf </dev/null >&2 &",
            "until corosync-quorumtool -s >/dev/null 2>&1; do sleep 0.05; done",
            f"PCMK_logfile={folder}/pacemaker.log PCMK_logfacility=none pacemakerd -f </dev/null >&2 &",
            f"until crm_mon -1 2>/dev/null | grep -q 'Online:.* {HERE} '; do sleep 0.1; done",
            "echo up",
            "cat >/dev/null",
        ]
    )


def _places(folder: Path) -> list[str]:
    binds = [f"mkdir -p {folder}/{name} && mount --bind {folder}/{name} {place}" for place, name in _OWN_PLACES.items()]
    return ["mount --make-rprivate /", "mount -t proc proc /proc", "mount -t tmpfs none /dev/shm", *binds]


@contextmanager
def cluster(network: Network, folder: Path, agent: Path, nodes: Sequence[str]) -> Iterator[Cluster]:
    """Corosync and Pacemaker on the first of ``nodes``, until the context ends, which kills all of their processes.

    ``agent`` stands in the place of Debian's client.
    """
    require_root()
    require_program("pacemakerd", "pacemaker")
    require_program("corosync", "corosync")
    folder.mkdir()
    (folder / "corosync.conf").write_text(_COROSYNC_CONF)
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
    with (folder / "output").open("wb") as output:
        argv = [*network.prefix, *alone, "bash", "-ec", _script(folder, agent, nodes)]
        keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, bufsize=0)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        assert keeper.stdout.readline() == b"up\n", (folder / "output").read_text()
        own = f"/proc/{keeper.pid}/ns"
        namespaces = (f"--net={own}/net", f"--mount={own}/mnt", f"--pid={own}/pid_for_children")
        yield Cluster((str(require_program("nsenter", "util-linux")), *namespaces, "--"), folder)
    finally:
        keeper.stdin.close()
        keeper.stdout.close()
        keeper.kill()
        keeper.wait(60)
