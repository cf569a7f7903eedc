"""Shows a fence across hosts: two daemons that know each other over direct links, and the real client in front."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path

from fencebus_host.demo.client import Step, free_port, run, said, show_owners, write
from fencebus_host.demo.daemon import DidNotStart, running, write_world

HOSTS = {"host1": ("node1", "database"), "host2": ("node2", "webserver")}
BUS_KEY = secrets.token_bytes(512)
"""What the hosts have, and no guest."""
ACQUAINTED_SECONDS = 15.0
"""A host that starts hears of the others at the latest with their next heartbeat, after 5 s."""
LIST = Step("host1 is asked: which VMs are there, on either host?", ("-o", "list"))
FENCE = Step(
    "host1 is asked to fence node2, which runs on host2: host2 kills it, and host1 answers.",
    ("-o", "off", "-n", "node2"),
)
STEPS = (
    Step("Is node2 on?  (exit status 2 means OFF)", ("-o", "status", "-n", "node2"), 2),
    Step(
        "Switch it on again: on its last owner, once every host has denied twice that it has it.",
        ("-o", "on", "-n", "node2"),
    ),
    Step("Reboot another VM of host2.", ("-o", "reboot", "-n", "webserver")),
)
UNKNOWN = Step(
    "Without host2's daemon nobody can say whether its VM runs, and so nobody says that it is off.",
    ("-o", "off", "-n", "node2"),
    1,
)
PATIENCE = 3
"""Seconds that a request may take here; 25 where more than a demonstration waits for it."""


def show(folder: Path) -> bool:
    """Run the demonstration in a folder of its own; true if every step ended as it must."""
    ports = {name: free_port() for name in HOSTS}
    write(folder / "key", secrets.token_bytes(512))
    links = ",".join(f"{name}@127.0.0.1:{free_port()}" for name in HOSTS)
    for name in HOSTS:
        _configure(folder / name, name, links, ports[name])
    print(f"\nTwo hosts, each a fence_virtd of its own with its VMs, that know each other: peers://{links}\n")
    try:
        with running(folder / "host1"):
            with running(folder / "host2"):
                _wait_until_acquainted(folder, ports["host1"])
                done = [run(LIST, folder, ports["host1"]), show_owners(folder / "host1", "before")]
                done.append(run(FENCE, folder, ports["host1"]))
                done.append(show_owners(folder / "host1", "after"))
                done += [run(step, folder, ports["host1"]) for step in STEPS]
            done.append(run(UNKNOWN, folder, ports["host1"]))
            print(f"host1's log says: {_reason(folder / 'host1')}\n")
            return all(done)
    except DidNotStart as error:
        print(error, file=sys.stderr)
        return False


def _configure(folder: Path, name: str, links: str, port: int) -> None:
    folder.mkdir()
    write_world(folder, HOSTS[name])
    write(folder / "bus.key", BUS_KEY)
    listed = " ".join(f'host {{ name = "{each}"; }}' for each in HOSTS)
    conf = f"""
        fence_virtd {{
            listener = "tcp"; backend = "qmf"; host = "{name}"; state_dir = "{folder}/state";
            request_timeout = "{PATIENCE}";
        }}
        listeners {{ tcp {{ address = "127.0.0.1"; port = "{port}"; key_file = "{folder.parent}/key"; }} }}
        hosts {{ {listed} }}
        backends {{
            libvirt {{ uri = "test://{folder}/vms.xml"; }}
            qmf {{ url = "peers://{links}"; key_file = "{folder}/bus.key"; }}
        }}
    """
    write(folder / "conf", conf.encode())


def _wait_until_acquainted(folder: Path, port: int) -> None:
    """A host that knows nothing of a VM fails a request for it, as it must; a demonstration waits."""
    until = time.monotonic() + ACQUAINTED_SECONDS
    while time.monotonic() < until and "node2" not in said(folder, port, "-o", "list"):
        time.sleep(0.1)


def _reason(folder: Path) -> str:
    """Why the last request of a host failed."""
    lines = [line for line in (folder / "log").read_text("utf-8", "replace").splitlines() if " verdict " in line]
    return lines[-1].partition(" text=")[2].strip("'\"")
