"""What is seen on a host: below a folder that is made to look like one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host.config.host_look import look, remembered
from fencebus_host.config.kills_here import kills_here
from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config, LibvirtSettings
from fencebus_host.config.ordered_settings import OrderedSettings


def config(folder: Path, sections: str = "") -> Config:
    return load_text(
        f'fence_virtd {{ listener = "serial"; state_dir = "{folder}/state"; }} backends {{ {sections} }}', "f"
    )


def put(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def libvirt_socket(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket where libvirt's is."""
    (tmp_path / "run/libvirt").mkdir(parents=True)
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(tmp_path / "run/libvirt")  # a socket's path has but 108 bytes
        listening.bind("libvirt-sock")
        os.chdir(here)
        yield listening


def test_an_empty_host_has_nothing(tmp_path: Path) -> None:
    seen = look(config(tmp_path), ("libvirt",), tmp_path)
    assert (seen.vdsm, seen.manager_hint, seen.corosync_configured, seen.corosync_runs) == ((), "", False, False)
    assert (seen.configured, seen.libvirt, seen.remembered) == ((), "no libvirt", "")
    assert seen.built_in == frozenset({"libvirt"})


@pytest.mark.parametrize(
    ("path", "text"),
    (
        ("etc/vdsm/vdsm.id", "x"),
        ("etc/vdsm/vdsm.conf", ""),
        ("run/vdsm/svdsm.sock", ""),
        ("etc/pki/vdsm/certs/vdsmcert.pem", ""),
        (
            "etc/libvirt/libvirtd.conf",
            'a = 1\n## beginning of configuration section by vdsm-5.0\nauth_unix_rw="sasl"\n',
        ),
    ),
)
def test_each_sign_of_vdsm_counts(tmp_path: Path, path: str, text: str) -> None:
    put(tmp_path, path, text)
    assert look(config(tmp_path), (), tmp_path).vdsm == (f"/{path}",)


def test_an_ordinary_libvirt_is_no_sign_of_vdsm(tmp_path: Path) -> None:
    put(tmp_path, "etc/libvirt/libvirtd.conf", '#auth_unix_rw = "sasl"\n# vdsm\n')
    assert look(config(tmp_path), (), tmp_path).vdsm == ()


@pytest.mark.parametrize(
    ("path", "text", "hint"),
    (
        ("etc/ovirt-hosted-engine/hosted-engine.conf", "host_id=1\nfqdn=engine.example\n", "engine.example"),
        ("etc/vdsm-reg/vdsm-reg.conf", "[vars]\nvdc_host_name = rhevm.example\n", "rhevm.example"),
        ("etc/kdump.conf", "path /x\nfence_kdump_nodes 192.0.2.7\n", "192.0.2.7"),
        ("etc/ovirt-hosted-engine/hosted-engine.conf", 'fqdn=";}evil\n', ""),
        ("etc/other", "", ""),
    ),
)
def test_the_manager_is_named_where_the_host_knows_it(tmp_path: Path, path: str, text: str, hint: str) -> None:
    put(tmp_path, "etc/vdsm/vdsm.id")
    put(tmp_path, path, text)
    assert look(config(tmp_path), (), tmp_path).manager_hint == (f"{hint} (from /{path})" if hint else "")


def test_corosync_is_configured_and_runs_or_not(tmp_path: Path) -> None:
    put(tmp_path, "etc/corosync/corosync.conf")
    put(tmp_path, "proc/1/comm", "systemd\n")
    put(tmp_path, "proc/notes/comm", "corosync\n")
    seen = look(config(tmp_path), (), tmp_path)
    assert (seen.corosync_configured, seen.corosync_runs) == (True, False)
    put(tmp_path, "proc/77/comm", "corosync\n")
    assert look(config(tmp_path), (), tmp_path).corosync_runs


@pytest.mark.parametrize(("network", "runs"), (("net:[1]", True), ("net:[2]", False)))
def test_a_corosync_in_a_container_is_not_this_hosts(tmp_path: Path, network: str, runs: bool) -> None:
    put(tmp_path, "proc/77/comm", "corosync\n")
    for process, its in (("self", "net:[1]"), ("77", network)):
        (tmp_path / "proc" / process / "ns").mkdir(parents=True)
        (tmp_path / "proc" / process / "ns/net").symlink_to(its)
    assert look(config(tmp_path), (), tmp_path).corosync_runs is runs


@pytest.mark.parametrize(("state", "runs"), (("S", True), ("T", True), ("Z", False), ("X", False)))
def test_a_corosync_that_has_ended_does_not_run_though_nobody_has_reaped_it(
    tmp_path: Path, state: str, runs: bool
) -> None:
    put(tmp_path, "proc/77/comm", "corosync\n")
    put(tmp_path, "proc/77/stat", f"77 (coro (sync)) {state} 1 77 77 0")
    assert look(config(tmp_path), (), tmp_path).corosync_runs is runs


def test_what_is_in_this_process_table_is_told_from_what_has_ended(tmp_path: Path) -> None:
    program = tmp_path / "corosync"
    program.symlink_to(sys.executable)
    before = look(config(tmp_path), ()).corosync_runs
    with subprocess.Popen([program, "-c", ""], stdout=subprocess.DEVNULL) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{ended.pid}/comm").read_text() == "corosync\n"
        assert look(config(tmp_path), ()).corosync_runs is before


def test_this_process_table_can_be_read() -> None:
    assert isinstance(look(config(Path("/nowhere")), ()).corosync_runs, bool)


def test_sections_are_what_is_configured(tmp_path: Path) -> None:
    sections = 'libvirt { } fence_agent { agent = "fence_pve"; } cpg { }'
    assert set(look(config(tmp_path, sections), (), tmp_path).configured) == {"libvirt", "fence_agent", "cpg"}


def test_libvirt_answers_or_not(tmp_path: Path, libvirt_socket: socket.socket) -> None:
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        root = Path()
        assert look(config(tmp_path), (), root).libvirt == "libvirt does not answer"
        libvirt_socket.listen()
        assert look(config(tmp_path), (), root).libvirt == ""
    finally:
        os.chdir(here)


def test_another_libvirt_than_this_hosts_is_not_tried(tmp_path: Path) -> None:
    found = look(config(tmp_path, 'libvirt { uri = "qemu+ssh://h/system"; }'), (), tmp_path)
    assert found.libvirt == "libvirt at qemu+ssh://h/system, as configured"


@pytest.mark.parametrize(
    ("content", "found"), ((None, ""), (b"fence_agent\n", "fence_agent"), (b"", "empty"), (b"\xff", "\ufffd"))
)
def test_the_last_choice_is_read_and_what_cannot_be_read_is_nobodys_name(
    tmp_path: Path, content: bytes | None, found: str
) -> None:
    if content is not None:
        (tmp_path / "router").write_bytes(content)
    assert remembered(tmp_path) == found


def test_a_last_choice_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "router").mkdir()
    assert remembered(tmp_path) == "unreadable"


@pytest.mark.parametrize(
    ("uri", "here"),
    (
        ("qemu:///system", True),
        ("qemu:///session", True),
        ("qemu+unix:///system?socket=/run/x", True),
        ("qemu+ssh://localhost/system", True),
        ("qemu+tls://[::1]/system", True),
        ("qemu+ssh://other/system", False),
        ("test:///default", False),
        ("xen:///system", False),
        ("qemu+tls://[bad", True),
    ),
)
def test_this_hosts_own_qemu_is_known_by_its_uri(uri: str, here: bool) -> None:
    settings = LibvirtSettings(uris=("test:///default", uri))
    assert kills_here(settings) == here
    assert kills_here(OrderedSettings(kind="x", parts=(settings,))) == here
