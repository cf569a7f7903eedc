"""`fence_virtctl doctor`: what is wrong, in the order of an administrator's look, each with its fix."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fencebus_host.config.load import load, load_text
from fencebus_host.config.model import Config
from fencebus_host.control import NoDaemon, PartState
from fencebus_host.control_client import read_pause
from fencebus_host.ctl.doctor.caches import check_caches
from fencebus_host.ctl.doctor.command import output_of
from fencebus_host.ctl.doctor.daemon_checks import Running, check_daemon, check_ports
from fencebus_host.ctl.doctor.denials import check_denials, denials
from fencebus_host.ctl.doctor.files import check_config, check_keys
from fencebus_host.ctl.doctor.findings import Finding, Level, bad, exit_code, good, odd
from fencebus_host.ctl.doctor.hypervisors import check_hypervisors, check_resources, check_ways
from fencebus_host.ctl.doctor.network import check_firewalld, check_interfaces
from fencebus_host.ctl.doctor.sockets import Holder, holders
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.survey import Guest, Hypervisor, Site
from tests.components import require_program
from tests.daemon_process import DaemonProcess
from tests.host_agent.config.conf import multicast, tcp, written
from tests.host_agent.ctl.calls import call
from tests.interop.worlds import SHUTOFF, Vm, write_world
from tests.ports import free_tcp_port

Printed = pytest.CaptureFixture[str]
TESTS_URI = "test:///default"


def config(text: str) -> Config:
    return load_text(text, "x", read_keys=False)


def codes(findings: list[Finding], level: Level) -> list[str]:
    return [finding.code for finding in findings if finding.level is level]


def site(*guests: Guest, trouble: str = "", corosync: bool = False, vdsm: bool = False) -> Site:
    return Site((Hypervisor(TESTS_URI, guests, trouble),), (), corosync, vdsm, False)


def test_the_worst_finding_is_the_exit_status() -> None:
    assert exit_code([]) == exit_code([good("a", "b")]) == ExitCode.OK
    assert exit_code([good("a", "b"), odd("c", "d", "e")]) == ExitCode.WARNING
    assert exit_code([bad("f", "g", "h"), odd("c", "d", "e")]) == ExitCode.BROKEN


def test_a_healthy_host_is_told_so_by_its_own_daemon(tmp_path: Path, capsys: Printed) -> None:
    group = 'groups { group { uuid = "node1"; ip = "127.0.0.1"; } }'
    with DaemonProcess(tmp_path, rest=group) as daemon:
        daemon.wait_ready()
        found = call(capsys, "doctor", "-f", daemon.config_file, "--root", tmp_path, "--format", "json")
        for text in ("fence_virtd runs and answers", "listener tcp works", "router libvirt works", "2 VMs, 2 run"):
            assert text in found.out
        assert "listener tcp answers this host's own request" in found.out
        told = json.loads(found.out)
        assert told["version"] == 1
        # Whether anything keeps this machine's clock right, and its packets out, is none of the daemon's doing.
        others = [one for one in told["findings"] if one["code"] not in ("clock", "firewall", "firewalld")]
        assert {one["level"] for one in others} == {"OK"}, found.out


def test_a_changed_file_differs_from_what_the_daemon_runs_with(tmp_path: Path, capsys: Printed) -> None:
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        assert call(capsys, "config", "diff", "--running", daemon.config_file).status == ExitCode.OK
        daemon.rest = 'groups { group { uuid = "node1"; ip = "127.0.0.1"; } }'
        daemon.configure()
        found = call(capsys, "config", "diff", "--running", daemon.config_file)
        assert found.status == ExitCode.DIFFERENT
        assert 'groups/group/uuid: (not set) -> "node1"' in found.out
    assert call(capsys, "config", "diff", "--running", daemon.config_file).status == ExitCode.NO_DAEMON


def test_a_daemon_that_does_not_run_and_a_port_that_is_taken_are_errors(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    port = free_tcp_port()
    daemon, uri = f'state_dir = "{tmp_path}/s";', f'backends {{ libvirt {{ uri = "{TESTS_URI}"; }} }}'
    file = written(tmp_path, tcp(key_file, f'port = "{port}";', daemon, uri))
    with socket.create_server(("127.0.0.1", port)):
        found = call(capsys, "doctor", "-f", file, "--root", tmp_path)
    assert found.status == ExitCode.BROKEN
    assert "does not answer" in found.out
    assert f"tcp port {port} of listener tcp is held by" in found.out
    assert "fix: systemctl start fence_virtd" in found.out


def test_with_a_bad_configuration_nothing_else_is_looked_at(tmp_path: Path, key_file: Path, capsys: Printed) -> None:
    found = call(capsys, "doctor", "-f", written(tmp_path, tcp(key_file, 'prot = "1";')))
    assert found.status == ExitCode.BROKEN
    assert "did you mean `port`?" in found.out
    assert "libvirt" not in found.out


def test_a_part_of_the_daemon_that_does_not_work_is_an_error() -> None:
    running = Running((PartState("router libvirt", None), PartState("listener tcp", "address in use")))
    found = list(check_daemon(running))
    assert codes(found, Level.ERROR) == ["part"]
    assert "address in use" in found[-1].text
    assert codes(list(check_daemon(Running(trouble=NoDaemon(Path("/s"), "gone")))), Level.ERROR) == ["daemon"]


def test_a_daemon_that_refuses_every_power_action_is_an_error() -> None:
    paused = read_pause(
        {"problems": [3, {"code": "part-failed"}, {"code": "paused", "text": "fencing is paused (work)"}]}
    )
    for pause, fix in ((paused, "fence_virtctl resume"), ("DRY RUN: x", "restart it without --dry-run")):
        found = list(check_daemon(Running(pause=pause)))
        assert (found[-1].level, found[-1].code, found[-1].text, found[-1].fix) == (Level.ERROR, "paused", pause, fix)
    assert [read_pause(None), read_pause({"problems": []}), read_pause({"problems": 3})] == ["", "", ""]


def test_a_daemon_that_is_there_and_cannot_be_asked_is_not_told_to_be_started_nor_its_own_port_to_be_freed(
    key_file: Path,
) -> None:
    fixes = ((errno.EACCES, "sudo"), (0, "restart"), (errno.ECONNREFUSED, "systemctl start"))
    for reason, fix in fixes:
        running = Running(trouble=NoDaemon(Path("/s"), "why", reason))
        (found,) = check_daemon(running)
        assert fix in found.fix
        told = list(check_ports(config(tcp(key_file)), running, lambda _protocol, _port: (Holder("1", None, ""),)))
        assert bool(told) == (reason == errno.ECONNREFUSED)


def test_a_port_is_not_looked_at_while_its_listener_works(key_file: Path) -> None:
    running = Running((PartState("listener tcp", None),))
    assert list(check_ports(config(tcp(key_file)), running, holders)) == []


def test_the_holder_of_a_port_is_found_by_tcp_and_udp() -> None:
    for kind, protocol in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        with socket.socket(socket.AF_INET6, kind) as holder:
            holder.bind(("::1", 0))
            if protocol == "tcp":
                holder.listen()
            (found,) = holders(protocol, holder.getsockname()[1])
            assert found.pid is not None
            assert found.program


def test_no_groups_no_key_and_no_authentication_are_warnings(tmp_path: Path, key_file: Path) -> None:
    open_to_all = load(written(tmp_path, multicast(key_file, 'hash = "none"; auth = "none";')))
    assert codes(list(check_config(open_to_all)), Level.WARNING) == ["no-groups"]
    assert codes(list(check_keys(open_to_all)), Level.WARNING) == ["no-authentication"]
    assert codes(list(check_keys(config("listeners { tcp { } }"))), Level.WARNING) == ["no-key"]


def interface(root: Path, name: str, flags: str, snooping: str = "0", querier: str = "0") -> None:
    folder = root / "sys/class/net" / name / "bridge"
    folder.mkdir(parents=True)
    (folder.parent / "flags").write_text(f"{flags}\n")
    (folder / "multicast_snooping").write_text(f"{snooping}\n")
    (folder / "multicast_querier").write_text(f"{querier}\n")


@pytest.mark.parametrize(
    ("name", "level", "code"),
    (
        ("good", Level.OK, "interface"),
        ("deaf", Level.ERROR, "interface"),
        ("snoop", Level.WARNING, "snooping"),
        ("none", Level.ERROR, "interface"),
    ),
)
def test_an_interface_must_take_multicast(tmp_path: Path, key_file: Path, name: str, level: Level, code: str) -> None:
    interface(tmp_path, "good", "0x1003", "1", "1")
    interface(tmp_path, "deaf", "0x3")
    interface(tmp_path, "snoop", "0x1003", "1", "0")
    (found,) = check_interfaces(config(multicast(key_file, f'interface = "{name}";')), tmp_path)
    assert (found.level, found.code) == (level, code)
    (chosen,) = check_interfaces(config(multicast(key_file)), tmp_path)
    assert chosen.level is Level.WARNING


def firewalld(folder: Path) -> Callable[[str], str | None]:
    """firewalld's own program on a configuration in ``folder``; the daemon itself would need D-Bus."""
    program = require_program("firewall-offline-cmd", "firewalld")

    def ask(option: str) -> str | None:
        words = [word for word in option.split() if word != "--permanent"]
        done = subprocess.run([program, f"--system-config={folder}", *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    return ask


def test_the_zone_of_libvirt_lets_nothing_in_until_the_fix_is_done(tmp_path: Path, key_file: Path) -> None:
    ask = firewalld(tmp_path)
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "libvirt.xml").write_text(
        '<?xml version="1.0"?><zone target="ACCEPT"><service name="dns"/><rule priority="32767"><reject/></rule></zone>'
    )
    settings = config(multicast(key_file, 'interface = "virbr0";'))
    (found,) = check_firewalld(settings, ask)
    assert (found.level, found.code) == (Level.ERROR, "firewalld")
    assert found.fix.startswith("firewall-cmd --permanent --zone=libvirt --add-port=1229/udp")
    assert ask("--zone=libvirt --add-port=1229/udp") is not None
    assert ask("--zone=libvirt --query-port=1229/udp") is not None


def test_a_tcp_listener_is_looked_for_in_the_default_zone(tmp_path: Path, key_file: Path) -> None:
    (found,) = check_firewalld(config(tcp(key_file)), firewalld(tmp_path))
    assert (found.level, "zone public" in found.text, "1229/tcp" in found.text) == (Level.ERROR, True, True)


def test_libvirt_vdsm_and_corosync_are_looked_at(key_file: Path) -> None:
    settings = config(tcp(key_file))
    assert codes(list(check_hypervisors(settings, site(trouble="refused"))), Level.ERROR) == ["libvirt"]
    assert codes(list(check_hypervisors(settings, site(vdsm=True))), Level.ERROR) == ["vdsm"]
    assert codes(list(check_hypervisors(settings, site(corosync=True))), Level.WARNING) == ["corosync"]


def test_a_guest_without_the_device_of_the_listener_is_a_warning() -> None:
    guests = (
        Guest("a", "u", True, serial=True, vsock=True),
        Guest("b", "v", True, channel=True),
        Guest("c", "w", False),
    )
    serial = 'fence_virtd {{ listener = "serial"; }} listeners {{ serial {{ mode = "{}"; }} }}'
    for text, missing in (
        (serial.format("serial"), "b"),
        (serial.format("vmchannel"), "a"),
        ("listeners { vsock { } }", "b"),
    ):
        (found,) = check_ways(config(text), site(*guests))
        assert found.text.endswith(f"device: {missing}")


CIB = """<cib><configuration><resources><group id="g"><primitive id="vm-res" class="ocf" type="VirtualDomain">
<instance_attributes id="i"><nvpair id="n" name="config" value="/etc/libvirt/qemu/file.xml"/></instance_attributes>
</primitive></group><primitive id="other" type="Dummy"/></resources></configuration></cib>"""


def test_a_vm_that_the_hosts_pacemaker_restarts_is_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "etc/libvirt/qemu"
    folder.mkdir(parents=True)
    (folder / "file.xml").write_text("<domain><name>node1</name></domain>")
    (found,) = check_resources(CIB.encode(), site(Guest("node1", "u", True)), tmp_path)
    assert "node1 is the resource vm-res" in found.text
    assert "off will be undone" in found.text
    assert list(check_resources(CIB.encode(), site(Guest("node2", "u", True)), tmp_path)) == []
    assert [one.code for one in check_resources(CIB.encode(), site(Guest("file", "u", True)), tmp_path / "x")] == [
        "restarted"
    ]
    assert [one.code for one in check_resources(b"<!DOCTYPE x><cib/>", site(), tmp_path)] == ["pacemaker"]


def disk(target: str, inside: str) -> str:
    source = f"<source file='/srv/{target}.img'/><target dev='{target}' bus='virtio'/>"
    return f"<disk type='file' device='disk'>{source}{inside}</disk>"


def test_a_shared_disk_that_the_host_caches_is_a_warning_on_a_real_libvirt(tmp_path: Path) -> None:
    require_program("virsh", "libvirt-clients")
    disks = (
        disk("vda", "<driver name='qemu' cache='writeback'/>")
        + disk("vdb", "<driver name='qemu' cache='writeback'/><shareable/>")
        + disk("vdc", "<driver name='qemu' cache='none'/><shareable/>")
        + disk("vdd", "<shareable/>")
    )
    uri = write_world(tmp_path / "world.xml", (Vm("shares", devices=disks), Vm("off", SHUTOFF, devices=disks)))
    guests = (Guest("shares", "u", True), Guest("off", "v", False), Guest("vanished", "w", True))
    place = Site((Hypervisor(uri, guests),), (), False, False, False)
    (found,) = check_caches(place, lambda where, name: output_of("virsh", "-c", where, "dumpxml", name))
    assert found.level is Level.WARNING
    assert found.text.startswith("shares: ")
    assert found.text.endswith(": vdb, vdd")


SELINUX = (
    'type=AVC msg=audit(1.2:3): avc:  denied  { connectto } for  pid=9 comm="fence_virtd"'
    " scontext=system_u:system_r:init_t:s0 tcontext=system_u:system_r:svirt_t:s0:c1,c2 tclass=unix_stream_socket"
)
APPARMOR = 'kernel: audit: apparmor="DENIED" operation="connect" profile="libvirt-1-2-3" name="/run/f.sock" comm="qemu"'


def test_a_denial_that_concerns_fencing_is_a_warning_and_others_are_not(tmp_path: Path) -> None:
    others = ['avc:  denied  { read } comm="httpd"', 'apparmor="ALLOWED" profile="libvirt-1"']
    assert [one.code for one in denials([*others, SELINUX, APPARMOR])] == ["denied-by-apparmor", "denied-by-selinux"]
    assert [one.level for one in check_denials(tmp_path)] == [Level.OK]
    (tmp_path / "var/log/audit").mkdir(parents=True)
    (tmp_path / "var/log/audit/audit.log").write_text("\n".join([*others, SELINUX]))
    assert [one.code for one in check_denials(tmp_path)] == ["denied-by-selinux"]


def test_another_program_is_asked_only_if_it_is_there_and_agrees() -> None:
    assert output_of("true") == ""
    assert output_of("false") is None
    assert output_of("no-such-program") is None
