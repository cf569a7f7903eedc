"""`fence_virtctl status`, asked of a real daemon: everything that it says, in every format, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rich.console import Console, Group

from fencebus_host.ctl import status_command, status_owners, status_text
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas.status import Claim, HostState, HostStatus, RouterStatus, Status, VmStatus
from fencebus_schemas.status_schema import schema_of
from tests.daemon_process import DaemonProcess, uuid_of
from tests.host_agent.ctl.calls import Called, call, ended_by_ctrl_c, started
from tests.host_agent.ctl.watched import VMS, watched
from tests.schemas.statuses import STATUS

Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """One for all tests here; none of them changes what it has."""
    with watched(tmp_path_factory.mktemp("watched")) as running:
        yield running


def status(capsys: Printed, daemon: DaemonProcess, *options: str) -> Called:
    return call(capsys, "status", "-f", daemon.config_file, *options)


def test_it_says_how_things_stand_in_one_line_and_shows_the_first_vms(capsys: Printed, daemon: DaemonProcess) -> None:
    found = status(capsys, daemon)
    assert found.status == ExitCode.OK, found
    lines = found.out.splitlines()
    assert re.match(r"host1 OK  router libvirt; 1 host; 60 VMs \(60 running\); fence_virtd ", lines[0])
    assert [line.split()[0] for line in lines if line.startswith("node")] == [f"node{n}" for n in range(1, 41)]
    assert "20 more VMs: --all shows them" in found.out
    assert "listener tcp: works" in found.out
    assert "\x1b" not in found.out


def test_all_are_shown_to_whoever_wants_all_and_chosen_ones_to_whoever_chooses(
    capsys: Printed, daemon: DaemonProcess
) -> None:
    assert len(re.findall(r"^node", status(capsys, daemon, "--all").out, re.MULTILINE)) == 60
    chosen = status(capsys, daemon, "node5?", "--by", "host").out
    assert re.findall(r"^node\d+", chosen, re.MULTILINE) == [f"node{number}" for number in range(50, 60)]
    assert "node" not in status(capsys, daemon, "--problems").out
    assert "none of 60 VMs shown, as chosen" in status(capsys, daemon, "nosuch").out
    assert "10 of 60 VMs shown, as chosen" in status(capsys, daemon, "node5?").out
    assert "node1 " in status(capsys, daemon, "--host", "host1", "--by", "cluster").out
    assert "node" not in status(capsys, daemon, "--host", "host2").out


def test_json_fits_its_schema_and_holds_every_vm(capsys: Printed, daemon: DaemonProcess) -> None:
    plain = json.loads(status(capsys, daemon, "--format", "json").out)
    jsonschema.validate(plain, schema_of(Status))
    assert {vm["name"] for vm in plain["vms"]} == set(VMS)
    first = plain["vms"][0]
    assert (first["uuid"], first["owner"], first["state"]) == (uuid_of("node1"), "host1", "running")
    assert plain["health"] == "ok"
    assert [part["name"] for part in plain["parts"]] == ["router libvirt", "listener tcp"]


def test_xml_html_and_lines_with_tabs_hold_the_same(capsys: Printed, daemon: DaemonProcess) -> None:
    root = ET.fromstring(status(capsys, daemon, "--format", "xml").out.encode())
    assert [item.findtext("name") for item in root.iterfind("vms/item")] == list(VMS)
    assert status(capsys, daemon, "--format", "html").out.count("<td>node") == 60
    rows = [line.split("\t") for line in status(capsys, daemon, "--format", "tsv").out.splitlines()]
    assert [row[0] for row in rows] == ["name", *VMS]


def test_monitoring_gets_one_line_and_its_own_exit_status(
    capsys: Printed, daemon: DaemonProcess, tmp_path: Path
) -> None:
    found = status(capsys, daemon, "--nagios")
    assert found.out == "FENCEBUS OK: 1 host, 60 VMs | vms=60 running=60\n"
    assert found.status == 0
    nobody = DaemonProcess(tmp_path)
    lost = status(capsys, nobody, "--nagios")
    assert (lost.status, lost.out.split(":")[0]) == (2, "FENCEBUS CRITICAL")


def test_without_a_daemon_the_error_says_what_to_do(capsys: Printed, tmp_path: Path) -> None:
    found = status(capsys, DaemonProcess(tmp_path))
    assert found.status == ExitCode.NO_DAEMON
    assert "is it running? (systemctl status fence_virtd" in found.err


def test_a_daemon_is_asked_also_while_its_file_has_mistakes_that_it_has_not_read(
    capsys: Printed, daemon: DaemonProcess, tmp_path: Path
) -> None:
    file = tmp_path / "conf"
    file.write_text(daemon.config_file.read_text() + 'hots { host { name = "a"; } }')
    assert call(capsys, "status", "-f", file, "--nagios").status == 0
    file.write_text('fence_virtd { state_dir = "/nowhere"; } hots { }')
    lost = call(capsys, "status", "-f", file)
    assert (lost.status, "hots" in lost.err) == (ExitCode.BAD_CONFIG, True)


def test_the_shell_completes_the_names_of_vms_that_are_there(daemon: DaemonProcess) -> None:
    words = f"fence_virtctl status -f {daemon.config_file} node4"
    asked = {"COMP_WORDS": words, "COMP_CWORD": "4", "_FENCE_VIRTCTL_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "fencebus_host.ctl"], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert [line.partition(",")[2] for line in done.stdout.split()] == ["node4", *(f"node4{n}" for n in range(10))]


def test_watching_paints_anew_in_place_and_ends_well_with_ctrl_c(daemon: DaemonProcess) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", COLUMNS="80", LINES="24")
        command = [sys.executable, "-m", "fencebus_host.ctl", "status", "-f", str(daemon.config_file), "--watch=0.2"]
        os.execv(sys.executable, command)
    said = read_until(terminal, b"host1", 3)
    os.kill(pid, signal.SIGINT)
    said += read_until(terminal, b"\x1b[?1049l", 1)
    _, ended = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(ended) == 0
    assert said.count(b"\x1b[?1049h") == 1, "one screen of its own, which is given back"
    assert b"\x1b[?1049l" in said


def read_until(terminal: int, mark: bytes, times: int) -> bytes:
    """What a terminal shows, until something has stood there so many times."""
    said = b""
    until = time.monotonic() + 40
    while said.count(mark) < times:
        assert time.monotonic() < until, said
        try:
            said += os.read(terminal, 65536)
        except OSError:  # the other side is gone
            break
    return said


def test_where_there_is_no_terminal_each_look_stands_below_the_last(daemon: DaemonProcess) -> None:
    with started("status", "-f", daemon.config_file, "--watch=0.2") as watching:
        assert watching.stdout is not None
        seen = 0
        while seen < 2:
            seen += "host1 OK" in watching.stdout.readline()
        assert ended_by_ctrl_c(watching) == 0


def many() -> Status:
    """Ten thousand VMs on two hosts, one of which is silent."""
    hosts = (HostStatus("a", HostState.HERE), HostStatus("b", HostState.SILENT, heard_ago=22.0))
    vms = tuple(
        VmStatus(f"{number:036d}", f"vm{number}", "running", "ab"[number % 2], (Claim("ab"[number % 2], "running"),))
        for number in range(10_000)
    )
    odd = VmStatus(
        "x" * 36, "odd", "running", None, (Claim("b", "running"), Claim("c", "paused")), troubles=("conflict",)
    )
    return replace(STATUS, hosts=hosts, vms=(*vms, odd), vms_known=10_001)


def test_ten_thousand_vms_are_readable_in_a_moment(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_command, "ask", lambda _chosen: many())
    began = time.process_time()
    shown = call(capsys, "status", "--all", "--by", "host").out
    assert time.process_time() - began < 5.0
    assert len(re.findall(r"^vm\d+ +0000", shown, re.MULTILINE)) == 10_000
    assert re.search(r"^odd +xxxxxxxx +running +conflict$", shown, re.MULTILINE)


def test_the_tree_of_owners_marks_what_is_odd(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_owners, "asked", lambda *_: replace(many(), vms=many().vms[-3:]))
    assert call(capsys, "owners").out.splitlines() == [
        "2 hosts, 10001 VMs",
        "├── a here",
        "│   └── vm9998 running",
        "├── b silent, last heard 22 s ago",
        "│   ├── vm9999 running",
        "│   └── odd running  conflict",
        "└── c no member",
        "    └── odd paused  conflict",
    ]


def test_everything_that_can_be_odd_is_shown(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_command, "ask", lambda _chosen: STATUS)
    found = call(capsys, "status")
    assert found.status == ExitCode.BROKEN
    words = " ".join(found.out.split())
    for text in (
        *("several hosts claim vm1 [vm-conflict]", "odd <b>", "silent 22 s ago 1 1 operator", "unheard never"),
        *(
            "listener tcp: port in use",
            "listener multicast: works, asked 2 min ago",
            "conflict silent-owner",
            "8 more VMs",
            "reboot vm2 vm3 (multicast)",
        ),
        *("running 0.25 fedcba987654", "not-proven: it"),
        "qmf: 3 members, 2 heard, not synced, epoch 7, on amqps://fence@broker:5671",
        "checkpoint: 3 members, 3 heard, synced, no quorum, on corosync",
    ):
        assert text in words, (text, words)


@pytest.mark.parametrize(
    ("router", "style", "line"),
    (
        (RouterStatus("qmf", 1, 1, True, bus="b", connected=True), "", "  qmf: 1 member, 1 heard, synced, on b"),
        (RouterStatus("cpg", 2, 2, True, True, connected=True), "", "  cpg: 2 members, 2 heard, synced, quorate, on "),
        (RouterStatus("cpg", 2, 1, False, True, connected=True), "yellow", "  cpg: 2 members, 1 heard, not synced, "),
        (
            RouterStatus("checkpoint", 10, 10, False, False, bus="corosync"),
            "red",
            "  checkpoint: 10 members, 10 heard, not synced, no quorum, not on corosync",
        ),
        (
            RouterStatus("qmf", 10, 10, True, None, 12, f"amqps://{'x' * 80}", True),
            "",
            "  qmf: 10 members, 10 heard, synced, epoch 12, on amqps://",
        ),
    ),
)
def test_a_router_is_one_line_at_eighty_columns_and_what_keeps_it_from_the_others_is_red(
    router: RouterStatus, style: str, line: str
) -> None:
    shown = status_text.router_line(router)
    assert (shown.style, shown.plain[: len(line)]) == (style, line)
    terminal = Console(width=80, force_terminal=False)
    with terminal.capture() as kept:
        terminal.print(Group(shown))
    (printed,) = kept.get().splitlines()
    assert printed.startswith(line)
    assert len(printed) <= 80
