"""`fence_virtctl config check|show|diff`: what they print, and the exit status that scripts rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_host.config.load import load
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas.fingerprint import fingerprint
from tests.host_agent.config.conf import tcp, written
from tests.host_agent.ctl.calls import call

Printed = pytest.CaptureFixture[str]


def test_the_numbers_of_the_exit_statuses_never_change() -> None:
    assert [(code.name, code.value) for code in ExitCode] == [
        ("OK", 0),
        ("FAILED", 1),
        ("USAGE", 2),
        ("BAD_CONFIG", 3),
        ("DIFFERENT", 4),
        ("WARNING", 5),
        ("BROKEN", 6),
        ("DECLINED", 7),
        ("NO_DAEMON", 8),
        ("BAD_SOURCE", 9),
        ("NOT_FENCED", 10),
    ]


def test_check_tells_all_errors_at_once_each_with_file_and_line(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    file = written(tmp_path, tcp(key_file, '\nprot = "1";\nhash = "md5";'))
    found = call(capsys, "config", "check", file)
    assert found.status == ExitCode.BAD_CONFIG
    assert f"error   {file}:3: unknown-key" in found.out
    assert "did you mean `port`?" in found.out
    assert f"error   {file}:4: bad-value" in found.out
    assert "2 errors, 0 warnings: fence_virtd would not start" in found.out


def test_check_of_a_good_file_says_so(tmp_path: Path, key_file: Path, capsys: Printed) -> None:
    found = call(capsys, "config", "check", written(tmp_path, tcp(key_file)))
    assert (found.status, found.err) == (ExitCode.OK, "")
    assert "0 errors, 0 warnings: fence_virtd would start" in found.out


def test_check_tells_programs_the_same_as_json(tmp_path: Path, key_file: Path, capsys: Printed) -> None:
    file = written(tmp_path, tcp(key_file, 'prot = "1";'))
    found = call(capsys, "config", "check", "--format", "json", file)
    assert found.status == ExitCode.BAD_CONFIG
    assert [(row["severity"], row["code"], row["line"]) for row in json.loads(found.out)] == [
        ("error", "unknown-key", 2)
    ]


def test_check_of_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path, capsys: Printed) -> None:
    found = call(capsys, "config", "check", tmp_path / "none.conf")
    assert found.status == ExitCode.BAD_CONFIG
    assert "unreadable-file" in found.out


def test_show_prints_defaults_and_a_fingerprint_and_never_the_key(tmp_path: Path, capsys: Printed) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("a very secret word")
    file = written(tmp_path, tcp(key))
    for form in ("text", "json", "conf"):
        found = call(capsys, "config", "show", "--format", form, file)
        assert found.status == ExitCode.OK
        assert "secret" not in found.out
        assert "1229" in found.out
        assert form == "conf" or fingerprint(b"a very secret word") in found.out


def test_what_show_prints_as_conf_is_a_file_with_the_same_settings(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    file = written(tmp_path, tcp(key_file, 'port = "7";'))
    copy = tmp_path / "copy.conf"
    copy.touch(mode=0o600)
    copy.write_text(call(capsys, "config", "show", "--format", "conf", "--comments", file).out)
    assert load(copy).listeners == load(file).listeners
    assert call(capsys, "config", "diff", file, copy).status == ExitCode.OK


def test_show_of_a_bad_file_prints_the_errors_to_stderr(tmp_path: Path, capsys: Printed) -> None:
    found = call(capsys, "config", "show", written(tmp_path, "listeners { tpc { } }"))
    assert (found.status, found.out) == (ExitCode.BAD_CONFIG, "")
    assert "did you mean `tcp`?" in found.err


def test_diff_names_the_setting_that_differs_and_says_so_in_its_status(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    (tmp_path / "a").mkdir()
    old, new = written(tmp_path / "a", tcp(key_file)), written(tmp_path, tcp(key_file, 'port = "7";'))
    found = call(capsys, "config", "diff", old, new)
    assert (found.status, found.out) == (ExitCode.DIFFERENT, 'listeners/tcp/port: "1229" -> "7"\n')
    found = call(capsys, "config", "diff", "--format", "json", old, new)
    assert json.loads(found.out) == [{"path": "listeners/tcp/port", "old": "1229", "new": "7"}]
    assert call(capsys, "config", "diff", old, old).out == "no differences\n"


@pytest.mark.parametrize("arguments", (["confg"], ["config", "check", "--formt", "json"], ["config", "diff"]))
def test_a_slip_in_the_command_line_is_told_with_status_2(arguments: list[str], capsys: Printed) -> None:
    found = call(capsys, *arguments)
    assert found.status == ExitCode.USAGE
    assert "Usage: fence_virtctl" in found.err


def test_every_command_shows_its_help_within_one_screen(capsys: Printed) -> None:
    for command in ("check", "show", "diff"):
        found = call(capsys, "config", command, "--help")
        assert found.status == ExitCode.OK
        assert "Examples:" in found.out
        assert len(found.out.splitlines()) <= 24


def test_the_program_starts_as_a_program_and_tells_its_version() -> None:
    argv = [sys.executable, "-m", "fencebus_host.ctl", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fence_virtctl, version ")
