"""Real corosync clusters on this machine: nodes with networks, places and names of their own behind one bridge."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fencebus_host.routers.checkpoint.connection import Connect, Connection, connect
from tests.components import require_file, require_program, require_root
from tests.server_process import GRACE, NotReadyError, ServerProcess, stands_still

CLONE_FS = 0x200
TOKEN = 1000
"""Milliseconds after which corosync misses a node; its default, too."""
PATIENCE = 40.0
"""Seconds for which a loaded machine may keep a cluster waiting."""
# What corosync, libvirt and the daemons of one node share among themselves lies in these places.
_OWN_PLACES = {"/run": "run", "/var/lib/corosync": "totem", "/etc/corosync": "corosync"}
_NODE_CONF = """\
  node {{
    ring0_addr: {address}
    name: {name}
    nodeid: {number}
  }}
"""
_CONF = """\
totem {{
  version: 2
  cluster_name: {name}
  transport: udpu
  token: {token}
}}
nodelist {{
{nodes}}}
quorum {{
{quorum}}}
logging {{
  to_stderr: yes
  to_syslog: no
}}
system {{
  sched_rr: no
  move_to_root_cgroup: no
}}
"""
COUNTED = "  provider: corosync_votequorum\n"
"""The inside of ``quorum`` where there is one."""

_here = threading.local()
"""On which node a thread is."""


class NodeProcess(ServerProcess):
    """A program on a node, where it has another process id: signals go to itself, not to what brought it there."""

    @property
    def pid(self) -> int:
        """Out here."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children")
        wait_for(lambda: not children.exists() or bool(children.read_text().split()), "process on the node")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else parent

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program; what brought it there stops with it, and goes on with it."""
        pid = self.pid
        os.kill(pid, number)
        if number is signal.SIGCONT:
            self.process.send_signal(number)
        if number is signal.SIGSTOP:
            wait_for(lambda: stands_still(pid), "standstill")

    def stop(self, number: signal.Signals = signal.SIGTERM, grace: float = GRACE) -> int:
        """End the program, by SIGKILL after ``grace`` seconds; returns its exit status as what brought it tells it."""
        for each in (number, signal.SIGKILL):
            if self.running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid := self.pid, each)
                    os.kill(pid, signal.SIGCONT)  # whoever stands still would not hear it
                self.process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(grace)
        raise NotReadyError(f"{self.argv} does not end")


@dataclass
class Node:
    """One node: whatever runs with ``prefix`` before it is on this machine and sees no other, nor its processes."""

    name: str
    number: int
    address: str
    folder: Path
    holder: int
    """The process id of what keeps the node's namespaces."""
    corosync: NodeProcess = field(init=False)

    def __post_init__(self) -> None:
        program = require_program("corosync", "corosync")
        argv: list[str | Path] = [*self.prefix, program, "-f", "-c", "/etc/corosync/corosync.conf"]
        self.corosync = NodeProcess(argv, self.folder / "corosync.log")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes a command run on this node, as a child of a process that waits for it."""
        kinds = {"net": "net", "mount": "mnt", "uts": "uts", "pid": "pid_for_children"}
        files = [f"--{kind}=/proc/{self.holder}/ns/{file}" for kind, file in kinds.items()]
        return (str(require_program("nsenter", "util-linux")), *files, "--")

    def does(self, *argv: str, check: bool = True) -> str:
        """What a command prints on this node."""
        done = subprocess.run([*self.prefix, *argv], capture_output=True, text=True, timeout=PATIENCE, check=check)
        return done.stdout

    def is_quorate(self) -> bool:
        """Whether its part of the cluster has the majority; false also without corosync."""
        return subprocess.run([*self.prefix, "corosync-quorumtool", "-s"], capture_output=True).returncode == 0

    def kill_corosync(self) -> None:
        """As kill -9 does it."""
        self.corosync.stop(signal.SIGKILL)

    def connect(self) -> Connection:
        """As ``Connect``, for a carrier that runs in the test's own process; the calling thread stays on the node."""
        self.enter()
        return connect()

    def connecting(self) -> Connect:
        """``connect`` as an argument."""
        return self.connect

    def enter(self) -> None:
        """Bring the calling thread to this node's network and files, for good."""
        if getattr(_here, "holder", 0) == self.holder:
            return  # on the node, where the holder has another process id
        libc = ctypes.CDLL(None, use_errno=True)
        libc.unshare(CLONE_FS)  # without a folder of its own a thread may not have mounts of its own
        for kind in ("net", "mnt"):
            descriptor = os.open(f"/proc/{self.holder}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(descriptor, 0):
                    raise OSError(ctypes.get_errno(), f"setns {kind}")
            finally:
                os.close(descriptor)
        _here.holder = self.holder


@dataclass(frozen=True)
class Cluster:
    """The nodes, and the bridge between them."""

    nodes: tuple[Node, ...]
    bridge: int
    """The process id of what keeps the bridge's namespace."""

    def cut(self, node: Node) -> None:
        """Take the node off the bridge: it hears nobody, nobody hears it."""
        _ip(self.bridge, f"link set v{node.number} nomaster")

    def mend(self, node: Node) -> None:
        """Put it back."""
        _ip(self.bridge, f"link set v{node.number} master br0")

    def wait_quorate(self, nodes: Sequence[Node] | None = None) -> None:
        """Return once all these nodes (all, if none are named) have a quorum."""
        wait_for(lambda: all(node.is_quorate() for node in nodes or self.nodes), "a quorum")


def wait_for(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Return once ``condition`` holds; AssertionError if it does not in time."""
    limit = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < limit, f"no {what} within {patience} s"
        time.sleep(0.02)


@contextmanager
def cluster(
    folder: Path, names: Sequence[str] = ("node1", "node2", "node3"), quorum: str = COUNTED, token: int = TOKEN
) -> Iterator[Cluster]:
    """Nodes with a running, quorate corosync each, until the context ends."""
    require_root()
    require_file("/usr/lib/x86_64-linux-gnu/libcpg.so.4", "libcpg4")
    with ExitStack() as stack:
        bridge = stack.enter_context(_held(("--net",), "true"))
        _ip(bridge, "link add br0 type bridge mcast_snooping 0 forward_delay 0")
        _ip(bridge, "link set br0 up")
        made = [_node(stack, folder, bridge, number, name) for number, name in enumerate(names, 1)]
        conf = _configuration(made, quorum, token)
        site = Cluster(tuple(made), bridge)
        for node in made:
            (node.folder / "corosync" / "corosync.conf").write_text(conf)
            node.corosync.start()
            stack.callback(node.corosync.stop, signal.SIGKILL)
        if quorum == COUNTED:
            site.wait_quorate()
        yield site


def _node(stack: ExitStack, folder: Path, bridge: int, number: int, name: str) -> Node:
    own = folder / name
    for place in _OWN_PLACES.values():
        (own / place).mkdir(parents=True)
    (own / "machine-id").write_text(f"{number:032x}\n")
    holder = stack.enter_context(
        _held(("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"), _places(own, name))
    )
    address = f"10.91.0.{number}"
    _ip(bridge, f"link add v{number} type veth peer name eth0 netns {holder}")
    _ip(bridge, f"link set v{number} master br0 up")
    for command in ("link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up"):
        _ip(holder, command)
    return Node(name, number, address, own, holder)


def _places(own: Path, name: str) -> str:
    binds = [f"mount --bind {own}/{part} {place}" for place, part in _OWN_PLACES.items()]
    machine = f"test ! -e /etc/machine-id || mount --bind {own}/machine-id /etc/machine-id"
    private = ("mount --make-rprivate /", "mount -t proc proc /proc", "mount -t tmpfs none /dev/shm")
    return " && ".join([*private, *binds, f"({machine})", f"hostname {name}"])


def _configuration(nodes: Sequence[Node], quorum: str, token: int) -> str:
    listed = "".join(_NODE_CONF.format(address=each.address, name=each.name, number=each.number) for each in nodes)
    return _CONF.format(name="hosts", token=token, nodes=listed, quorum=quorum)


@contextmanager
def _held(kinds: Sequence[str], prepare: str) -> Iterator[int]:
    """Namespaces, and the id of the process that keeps them; it ends with the test's, however that ends."""
    argv = [str(require_program("unshare", "util-linux")), *kinds, "sh", "-ec", f"{prepare}; echo up; exec cat"]
    keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        said = keeper.stdout.readline()
        assert said == b"up\n", said + keeper.stdout.read()
        yield keeper.pid
    finally:
        keeper.stdin.close()
        keeper.kill()
        keeper.wait(PATIENCE)
        keeper.stdout.close()


def _ip(holder: int, command: str) -> None:
    run = partial(subprocess.run, check=True, capture_output=True)
    run(["nsenter", f"--net=/proc/{holder}/ns/net", str(require_program("ip", "iproute2")), *command.split()])
