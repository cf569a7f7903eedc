"""`fence_virtctl config convert`: from a file that a site has to one that the daemon takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fencebus_host.config.load import load
from fencebus_host.ctl.exit_codes import ExitCode
from tests.host_agent.config.conf import tcp
from tests.host_agent.ctl.calls import call

Printed = pytest.CaptureFixture[str]
CLUSTER = """<?xml version="1.0"?>
<cluster name="c"><clusternodes>
<clusternode name="n1"><fence><method name="1"><device name="xvm" domain="vm1"/></method></fence></clusternode>
<clusternode name="n2"><fence><method name="1"><device name="xvm" domain="vm2"/></method></fence></clusternode>
</clusternodes><fencedevices><fencedevice agent="fence_xvm" name="xvm"/></fencedevices>
<fence_xvmd key_file="KEY"/></cluster>
"""


def cluster_conf(folder: Path, key: Path) -> Path:
    file = folder / "cluster.conf"
    file.write_text(CLUSTER.replace("KEY", str(key)))
    return file


def test_a_cluster_conf_gives_configuration_report_and_lines_for_both_tools(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    found = call(capsys, "config", "convert", cluster_conf(tmp_path, key_file))
    assert found.status == ExitCode.OK
    assert 'backend = "cpg";' in found.out
    assert "changed " in found.out
    assert "pcs stonith create xvm fence_xvm timeout=30 pcmk_host_map='n1:vm1;n2:vm2'" in found.out
    assert "crm configure primitive xvm stonith:fence_xvm" in found.out


def test_the_output_is_written_only_after_a_yes_and_the_old_file_is_kept(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    source, target = tmp_path / "old.conf", tmp_path / "etc" / "fence_virt.conf"
    source.write_text(tcp(key_file))
    target.parent.mkdir()
    target.write_text("before\n")
    for answers in ("", "n\n", "\n"):
        declined = call(capsys, "config", "convert", source, "-o", target, answers=answers)
        assert declined.status == ExitCode.DECLINED
        assert target.read_text() == "before\n"
        assert "-before" in declined.out
    written = call(capsys, "config", "convert", source, "-o", target, "--yes")
    assert written.status == ExitCode.OK
    assert load(target).listeners[0].kind == "tcp"
    assert target.with_name("fence_virt.conf.bak").read_text() == "before\n"
    assert target.stat().st_mode & 0o777 == 0o600
    assert "is so already" in call(capsys, "config", "convert", source, "-o", target, "--yes").out


def test_a_fence_xvmd_command_line_is_enough(capsys: Printed) -> None:
    found = call(
        capsys, "config", "convert", "--fence-xvmd", "-L -I virbr0", "--node", "a:x", "--node", "b", "--format", "json"
    )
    assert found.status == ExitCode.OK
    told = json.loads(found.out)
    assert 'interface = "virbr0";' in told["configuration"]
    assert "pcmk_host_map='a:x;b:b'" in told["guests"]["pcs"][0]
    assert {remark["weight"] for remark in told["remarks"]} == {"changed", "decide"}


@pytest.mark.parametrize(
    ("kind", "agent"),
    (
        ("tcp", "fence_virt ipaddr=ADDRESS_OF_THE_HOST"),
        ("vsock", "fence_virt vsock=2"),
        ("multicast", "fence_xvm multicast_address=225.0.0.99"),
    ),
)
def test_the_lines_fit_the_listener_of_the_file(
    tmp_path: Path, key_file: Path, capsys: Printed, kind: str, agent: str
) -> None:
    source = tmp_path / "old.conf"
    address = {"tcp": 'address = "0.0.0.0";', "multicast": 'address = "225.0.0.99";', "vsock": ""}[kind]
    source.write_text(tcp(key_file, address, kind=kind))
    assert f"pcs stonith create fence_vm {agent}" in call(capsys, "config", "convert", source).out


def test_a_serial_listener_is_reached_through_the_serial_port(tmp_path: Path, capsys: Printed) -> None:
    source = tmp_path / "old.conf"
    source.write_text('fence_virtd { listener = "serial"; backend = "libvirt"; } listeners { serial { } }')
    assert "fence_virt serial_device=/dev/ttyS1" in call(capsys, "config", "convert", source).out


def test_a_source_that_cannot_be_read_is_told_with_a_status_of_its_own(tmp_path: Path, capsys: Printed) -> None:
    for name, content in (("a.conf", "fence_virtd {"), ("b.conf", "<cluster>"), ("c.conf", "<!DOCTYPE x><cluster/>")):
        (tmp_path / name).write_text(content)
        found = call(capsys, "config", "convert", tmp_path / name)
        assert (found.status, found.out) == (ExitCode.BAD_SOURCE, "")
        assert name in found.err
    assert call(capsys, "config", "convert", tmp_path / "none").status == ExitCode.BAD_SOURCE


def test_what_does_not_go_together_is_a_usage_error(tmp_path: Path, key_file: Path, capsys: Printed) -> None:
    (tmp_path / "c.conf").write_text(tcp(key_file))
    wrong: tuple[tuple[str | Path, ...], ...] = (
        (),
        (tmp_path / "c.conf", "--fence-xvmd", "-L"),
        (cluster_conf(tmp_path, key_file), "--node", "a"),
    )
    for arguments in wrong:
        assert call(capsys, "config", "convert", *arguments).status == ExitCode.USAGE
