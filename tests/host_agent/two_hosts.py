"""Two real daemons that know each other over direct links, each with VMs of its own, for whoever watches them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fencebus_host.control_client import ask_daemon
from tests.daemon_process import DaemonProcess
from tests.ports import free_tcp_port

VMS = {"host1": ("node1", "node3"), "host2": ("node2", "node4")}
BUS_KEY = b"the hosts' own key"


@dataclass(frozen=True)
class TwoHosts:
    """Both daemons, and where each tells its figures."""

    daemons: Mapping[str, DaemonProcess]
    metrics: Mapping[str, int]

    def __getitem__(self, name: str) -> DaemonProcess:
        return self.daemons[name]


@contextmanager
def two_hosts(folder: Path) -> Iterator[TwoHosts]:
    """Both, ready and acquainted."""
    links = ",".join(f"{name}@127.0.0.1:{free_tcp_port()}" for name in VMS)
    metrics = {name: free_tcp_port() for name in VMS}
    listed = "".join(f'host {{ name = "{name}"; }} ' for name in VMS)
    daemons = {}
    with ExitStack() as stack:
        for name, vms in VMS.items():
            (folder / name).mkdir()
            key = folder / name / "bus.key"
            key.touch(mode=0o600)
            key.write_bytes(BUS_KEY)
            daemons[name] = DaemonProcess(
                folder / name,
                backend="qmf",
                daemon=f'host = "{name}"; metrics = "{metrics[name]}"; request_timeout = "3";',
                backends=f'qmf {{ url = "peers://{links}"; key_file = "{key}"; }}',
                rest=f"hosts {{ {listed}}}",
                vms={vm: f"52:54:00:00:00:0{vm[-1]}" for vm in vms},
            )
            stack.enter_context(daemons[name])
        for daemon in daemons.values():
            daemon.wait_ready()
            daemon.process.wait_until(partial(knows_all, daemon), 40, "acquainted")
        yield TwoHosts(daemons, metrics)


def knows_all(daemon: DaemonProcess) -> bool:
    """Whether the daemon knows of every VM."""
    told = ask_daemon(daemon.state_dir / "control.sock", "status")
    return isinstance(told, dict) and told["vms_known"] == sum(map(len, VMS.values()))
