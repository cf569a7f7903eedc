"""The unit under a real systemd: it starts when it is ready, fences from within its sandbox, and comes back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.components import CHECKOUT, require_file, require_program
from tests.documents import Page
from tests.libvirtd import LIBVIRTD_CONF, QEMU_CONF, READY, guest_xml
from tests.package.booted import Machine, booted
from tests.package.made_packages import made_packages

pytestmark = pytest.mark.timeout(200)

UNIT, AGENT = "fence_virtd.service", "fencebus-agentd.service"
CONFIG = "/etc/fence_virt.conf"
CONF = """
fence_virtd { listener = "tcp"; backend = "libvirt"; }
listeners { tcp { address = "127.0.0.1"; } }
backends { libvirt { uri = "test:///default"; } }
"""
KEY = "mkdir -p /etc/cluster && (umask 077 && dd if=/dev/urandom of=/etc/cluster/fence_xvm.key bs=64 count=1)"
ASK = ("fence_virt", "-T", "127.0.0.1")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine with our packages, a configuration and a key."""
    require_program("dpkg-buildpackage", package="dpkg-dev")
    packages = made_packages("build_debian.py", tmp_path_factory)
    with booted(tmp_path_factory.mktemp("machine"), packages) as running:
        running.must("sh", "-c", f"umask 077; cat >{CONFIG}", stdin=CONF)
        running.must("sh", "-c", KEY)
        running.must("sh", "-c", "dpkg -i /mnt/*.deb")
        yield running


def eventually(machine: Machine, what: str, value: str, seconds: float = 20.0, unit: str = UNIT) -> None:
    limit = time.monotonic() + seconds
    while (found := machine.shows(unit, what)) != value:
        assert time.monotonic() < limit, (what, found, machine.run("systemctl", "status", unit).stdout)
        time.sleep(0.1)


def start_libvirtd(machine: Machine) -> None:
    """With QEMU, once for whoever needs it; without the polkit that lets everybody look elsewhere."""
    if machine.run("pgrep", "--exact", "libvirtd").returncode == 0:
        return
    require_program("libvirtd", "libvirt-daemon-system")
    conf = LIBVIRTD_CONF.format(host_uuid=uuid4()) + 'auth_unix_ro = "none"\n'
    machine.must("sh", "-c", "cat >/etc/libvirt/qemu.conf", stdin=QEMU_CONF)
    machine.must("sh", "-c", "cat >/etc/libvirt/libvirtd.conf", stdin=conf)
    machine.must("libvirtd", "-d")
    limit = time.monotonic() + READY
    while machine.run("virsh", "-c", "qemu:///system", "list").returncode:
        assert time.monotonic() < limit


def test_the_unit_is_active_when_the_daemon_is_ready_and_says_what_works(machine: Machine) -> None:
    machine.must("systemctl", "enable", "--now", UNIT)
    assert machine.shows(UNIT, "ActiveState") == "active"
    assert "listener tcp" in machine.shows(UNIT, "StatusText")
    assert machine.must("systemctl", "is-enabled", UNIT).strip() == "enabled"
    machine.must(*ASK, "-o", "off", "-n", "test")
    assert machine.run(*ASK, "-o", "status", "-n", "test").returncode == 2
    assert "fence_virtd runs and answers" in machine.run("fence_virtctl", "doctor").stdout


def test_the_journal_finds_all_that_a_request_left_by_its_id(machine: Machine) -> None:
    machine.must("systemctl", "start", UNIT)
    machine.must(*ASK, "-o", "reboot", "-n", "test")
    told = json.loads(machine.must("fence_virtctl", "history", "-n", "1", "--format", "json"))
    (request,) = [fence["id"] for fence in told["fences"]]
    limit = time.monotonic() + 30
    lines: list[dict[str, str]] = []
    while len(lines) < 2:
        assert time.monotonic() < limit
        found = machine.must("journalctl", f"FENCE_REQUEST_ID={request}", "--output=json", "--no-pager")
        lines = [json.loads(line) for line in found.splitlines()]
    assert [line["FENCE_EVENT"] for line in lines] == ["accepted", "verdict"]
    assert {line["FENCE_TARGET"] for line in lines} == {"test"}
    assert {line["_SYSTEMD_UNIT"] for line in lines} == {UNIT}
    assert lines[1]["FENCE_OK"] == "yes"


def test_a_reload_takes_a_new_key_without_a_new_process(machine: Machine) -> None:
    machine.must("systemctl", "start", UNIT)
    before = machine.shows(UNIT, "MainPID")
    machine.must("sh", "-c", KEY)
    assert machine.run(*ASK, "-t", "2", "-o", "list").returncode != 0
    machine.must("systemctl", "reload", UNIT)
    limit = time.monotonic() + 10
    while machine.run(*ASK, "-t", "2", "-o", "list").returncode:
        assert time.monotonic() < limit
    assert machine.shows(UNIT, "MainPID") == before


def test_a_daemon_that_is_killed_comes_back_and_one_that_is_stopped_does_not(machine: Machine) -> None:
    machine.must("systemctl", "restart", UNIT)
    before = machine.shows(UNIT, "MainPID")
    machine.must("kill", "-KILL", before)
    eventually(machine, "NRestarts", "1")
    eventually(machine, "ActiveState", "active")
    assert machine.shows(UNIT, "MainPID") != before
    # However often: a limit of starts in a while is for what is not needed.
    assert machine.shows(UNIT, "StartLimitIntervalUSec") == "0"
    machine.must("systemctl", "stop", UNIT)
    assert (machine.shows(UNIT, "ActiveState"), machine.shows(UNIT, "Result")) == ("inactive", "success")


def test_a_configuration_with_a_mistake_is_a_failed_start_with_the_status_of_the_page(machine: Machine) -> None:
    machine.must("sed", "-i", "s/address/adress/", CONFIG)
    assert machine.run("systemctl", "restart", UNIT).returncode != 0
    assert machine.shows(UNIT, "ExecMainStatus") == "255"
    assert (machine.shows(UNIT, "ActiveState"), machine.shows(UNIT, "NRestarts")) == ("failed", "0"), (
        "nobody tries again"
    )
    machine.must("sed", "-i", "s/adress/address/", CONFIG)
    machine.must("systemctl", "restart", UNIT)


def test_from_within_its_sandbox_the_daemon_proves_the_death_of_a_real_qemu(machine: Machine) -> None:
    start_libvirtd(machine)
    machine.must("sh", "-c", "cat >/tmp/victim.xml", stdin=guest_xml("victim"))
    machine.must("virsh", "-c", "qemu:///system", "create /tmp/victim.xml")
    machine.must("sed", "-i", "s|test:///default|qemu:///system|", CONFIG)
    machine.must("systemctl", "restart", UNIT)
    assert machine.run("pgrep", "--full", "guest=victim").returncode == 0
    machine.must(*ASK, "-o", "off", "-n", "victim")
    assert "reason=proven-off" in machine.must("systemctl", "status", "--lines=30", "--full", UNIT)
    assert machine.run("pgrep", "--full", "guest=victim").returncode == 1, "its process is gone"


def agent_says(machine: Machine, text: str) -> None:
    """Return once it has said so in the journal."""
    limit = time.monotonic() + 30
    while text not in (said := machine.run("journalctl", "--no-pager", "--unit", AGENT).stdout):
        assert time.monotonic() < limit, said
        time.sleep(0.1)


def test_the_agents_unit_looks_at_libvirt_as_nobody_in_particular_and_waits_for_its_bus(machine: Machine) -> None:
    require_file("/usr/lib/python3/dist-packages/kombu", package="python3-kombu")
    require_file("/lib/x86_64-linux-gnu/libnss_systemd.so.2", package="libnss-systemd")
    start_libvirtd(machine)
    given = "FENCEBUS_BUS=amqp://hosta:secret@127.0.0.1:9/fencebus\nFENCEBUS_AGENTD_ARGS=--name hosta\n"
    machine.must("sh", "-c", "umask 077; cat >/etc/default/fencebus-agentd", stdin=given)
    assert machine.run("systemctl", "is-enabled", AGENT).stdout.strip() == "disabled"
    assert machine.shows(AGENT, "ActiveState") == "inactive", "nobody has asked for it"
    machine.must("systemctl", "start", AGENT)
    agent_says(machine, "qemu:///system: connected")
    agent_says(machine, "no connection to amqp://hosta@127.0.0.1:9/fencebus")
    assert machine.must("ps", "-o", "user=", "-p", machine.shows(AGENT, "MainPID")).strip() not in ("root", "fencebus")
    assert machine.must("cat", "/var/lib/fencebus-agentd/qmf-epoch").strip() == "1"
    machine.must("systemctl", "stop", AGENT)
    assert (machine.shows(AGENT, "ActiveState"), machine.shows(AGENT, "Result")) == ("inactive", "success")
    said = machine.run("journalctl", "--no-pager", "--unit", AGENT).stdout
    assert "secret" not in said
    assert "Traceback" not in said


def test_an_agent_without_a_bus_says_so_and_is_not_started_again(machine: Machine) -> None:
    machine.must("rm", "-f", "/etc/default/fencebus-agentd")
    machine.must("systemctl", "start", AGENT)
    eventually(machine, "ActiveState", "failed", unit=AGENT)
    assert (machine.shows(AGENT, "ExecMainStatus"), machine.shows(AGENT, "NRestarts")) == ("2", "0")
    agent_says(machine, "no bus: give --bus URL, or the variable FENCEBUS_BUS")


def test_as_the_page_says_it_runs_without_root(machine: Machine) -> None:
    text = " ".join(Page("docs/running-unprivileged.md").section("How").split())
    lines = [line for line in re.findall(r"`([^`]+)`", text) if line.startswith(("install ", "chgrp "))]
    assert len(lines) == 4
    for line in lines:
        if "polkit" not in line:  # Debian's libvirt asks for the group alone
            machine.must("sh", "-ec", f"cd {CHECKOUT}; {line}")
    # As the page says: the user may not read a configuration that is root's alone.
    machine.must(
        "sh", "-ec", f"chgrp fencebus {CONFIG}; chmod 640 {CONFIG}; sed -i 's|qemu:///system|test:///default|' {CONFIG}"
    )
    machine.must("systemctl", "stop", UNIT)
    machine.must("systemctl", "restart", UNIT)
    assert machine.must("ps", "-o", "user=", "-p", machine.shows(UNIT, "MainPID")).strip() == "fencebus"
    machine.must(*ASK, "-o", "off", "-n", "test")
    assert machine.run(*ASK, "-o", "status", "-n", "test").returncode == 2
