"""`fence_virtctl host` at a daemon that is alone, and what is typed; tests/interop/test_dead_hosts.py has the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from fencebus_host.ctl import host_commands
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas.status_schema import ROOTS, schema_of
from tests.daemon_process import DaemonProcess
from tests.host_agent.ctl.calls import call

Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    with DaemonProcess(tmp_path_factory.mktemp("alone")) as running:
        yield running.wait_ready()


@pytest.mark.parametrize("command", (("list",), ("confirm-dead", "b"), ("forget", "b")))
def test_a_daemon_that_is_alone_says_so(capsys: Printed, daemon: DaemonProcess, command: tuple[str, ...]) -> None:
    done = call(capsys, "host", *command, "-f", daemon.config_file, answers="b\n")
    assert done.status == ExitCode.FAILED
    assert "knows no other hosts" in done.err


@pytest.mark.parametrize("command", ("confirm-dead", "forget"))
@pytest.mark.parametrize("typed", ("c\n", "\n", ""))
def test_without_the_hosts_name_nothing_is_done(capsys: Printed, tmp_path: Path, command: str, typed: str) -> None:
    done = call(capsys, "host", command, "b", "-f", tmp_path / "nowhere", answers=typed)
    assert done.status == ExitCode.DECLINED
    assert "b" in done.out


def test_whoever_became_root_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    assert host_commands.account() == "ann"
    monkeypatch.delenv("SUDO_USER")
    assert host_commands.account()
    monkeypatch.setattr("os.getuid", lambda: 3_999_999)
    assert host_commands.account() == "uid 3999999"


def test_programs_get_the_hosts_as_values_and_a_daemon_that_is_alone_is_a_list_of_one(
    capsys: Printed, daemon: DaemonProcess
) -> None:
    told = json.loads(call(capsys, "host", "list", "-f", daemon.config_file, "--format", "json").out)
    jsonschema.validate(told, schema_of(ROOTS["hosts"]))
    assert [(host["name"], host["state"]) for host in told["hosts"]] == [(told["host"], "here")]
    assert told["routers"] == []
    rows = call(capsys, "host", "list", "-f", daemon.config_file, "--format", "tsv").out.splitlines()
    assert [row.split("\t")[:2] for row in rows] == [["host", "state"], [told["host"], "here"]]


def test_a_host_that_was_never_heard_is_shown_as_such() -> None:
    shown = host_commands.line_of({"host": {"name": "b", "state": "unheard", "heard_ago": None}, "vms": []})
    assert shown == "b  unheard  not heard since this daemon started  had no VM"
    assert host_commands.line_of({}) == "not heard since this daemon started  had no VM"
