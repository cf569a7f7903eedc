"""Shows the main job in a few seconds: a daemon on libvirt's test driver, and the real client fencing its VMs."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from fencebus_host.demo.client import Step, free_port, run, write
from fencebus_host.demo.daemon import DidNotStart, running, write_world

VMS = ("node1", "node2", "node3", "database", "webserver")


STEPS = (
    Step("Which VMs does this host have?", ("-o", "list")),
    Step("Is node2 on?", ("-o", "status", "-n", "node2")),
    Step("Fence it: the answer comes when its death is proven.", ("-o", "off", "-n", "node2")),
    Step("Is node2 on?  (exit status 2 means OFF)", ("-o", "status", "-n", "node2"), 2),
    Step("Switch it on again.", ("-o", "on", "-n", "node2")),
    Step("Is node2 on?", ("-o", "status", "-n", "node2")),
    Step("Reboot another one.", ("-o", "reboot", "-n", "node3")),
    Step("A VM that nobody knows is never reported as off.", ("-o", "off", "-n", "nosuchvm"), 1),
)


def show(folder: Path) -> bool:
    """Run the demonstration in an empty folder; true if every step ended as it must."""
    port = free_port()
    _write_configuration(folder, port)
    print(f"A host with {len(VMS)} VMs (libvirt's test driver), a new key, and fence_virtd on TCP port {port}.\n")
    try:
        with running(folder):
            done = [run(step, folder, port) for step in STEPS]
            return all(done)
    except DidNotStart as error:
        print(error, file=sys.stderr)
        return False


def _write_configuration(folder: Path, port: int) -> None:
    write(folder / "key", secrets.token_bytes(512))
    write_world(folder, VMS)
    conf = f"""
        fence_virtd {{ listener = "tcp"; backend = "libvirt"; state_dir = "{folder}/state"; }}
        listeners {{ tcp {{ address = "127.0.0.1"; port = "{port}"; key_file = "{folder}/key"; }} }}
        backends {{ libvirt {{ uri = "test://{folder}/vms.xml"; }} }}
    """
    write(folder / "conf", conf.encode())
