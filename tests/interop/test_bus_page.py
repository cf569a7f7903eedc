"""docs/bus.md leads to hosts that fence each other's VMs: its commands are run, its configuration is what they have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.daemon_process import DaemonProcess
from tests.documents import Page, commands, configurations
from tests.interop.bus_site import DONE, BusHost
from tests.rabbitmq import RabbitMq

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(120)]

NAMES = {"hosta": "host1", "hostb": "host2", "hostc": "host3"}
"""What the page calls the hosts, and what the broker of the tests calls its users."""


def made_key(etc: Path) -> Path:
    """What the page's commands make."""
    lines = [line for line in commands(Page("docs/bus.md").text) if "/etc/fencebus" in line]
    assert [line.split()[0] for line in lines] == ["install", "dd", "chmod"]
    for line in lines:
        subprocess.run(line.replace("/etc/fencebus", str(etc)).split(), check=True, capture_output=True)
    return etc / "bus.key"


def host(folder: Path, name: str, broker: RabbitMq, key: Path) -> BusHost:
    """A host with the page's configuration; but for the guests' way to it, its libvirt and its state folder."""
    (text,) = configurations(Page("docs/bus.md").text)
    folder.mkdir()
    daemon = DaemonProcess(folder, vms={f"node{name[-1]}": f"52:54:00:00:00:0{name[-1]}"})
    for old, new in (
        *NAMES.items(),
        ('host = "host1";', f'host = "{name}"; state_dir = "{daemon.state_dir}";'),
        ("amqp://host1:PASSWORD@broker", broker.url(name)),
        ("/etc/fencebus/bus.key", str(key)),
        ("qemu:///system", f"test://{folder}/world.xml"),
        ('"multicast"', '"tcp"'),
        ('multicast { interface = "virbr0"; }', f'tcp {{ key_file = "{daemon.key_file}"; port = "{daemon.port}"; }}'),
    ):
        assert old in text, old
        text = text.replace(old, new)
    daemon.config_file.write_text(text, encoding="utf-8")
    return BusHost(name, daemon)


def test_the_quick_start_leads_to_hosts_that_fence_each_others_vms(tmp_path: Path, rabbitmq: RabbitMq) -> None:
    key = made_key(tmp_path / "etc")
    assert (key.stat().st_size, key.stat().st_mode & 0o777) == (512, 0o600)
    first, second, third = (host(tmp_path / name, name, rabbitmq, key) for name in NAMES.values())
    with first.daemon, second.daemon, third.daemon:
        first.knows("node1", "node2", "node3")
        assert first.ask("reboot", "node2").status == DONE
        assert "reason=rebooted" in first.verdicts("node2")[-1]
