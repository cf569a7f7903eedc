"""`fence_virtctl config export-cmd`: its script, run by real shells, makes the same file, and no secret is in it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_host.config.problems import Where
from fencebus_host.config.tree import Item
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.exported_script import without_secrets
from fencebus_host.ctl.program import run
from tests.components import require_program
from tests.host_agent.config.conf import tcp, written
from tests.host_agent.ctl.calls import call

Bytes = pytest.CaptureFixture[bytes]
Printed = pytest.CaptureFixture[str]
AWKWARD = r"""# it's "so": $HOME ${x:-y} $(id) `id` \ \\ \n Ä Á ü EOF END_OF_CONFIGURATION
END_OF_CONFIGURATION
"""


@dataclass(frozen=True)
class OtherHost:
    """Where the script runs: a folder of its own, our program, and a systemctl that writes down what it is told."""

    folder: Path

    @property
    def target(self) -> Path:
        """Where the configuration goes."""
        return self.folder / "a new folder" / "fence_virt.conf"

    @property
    def told(self) -> str:
        """What systemctl was told."""
        file = self.folder / "told"
        return file.read_text() if file.exists() else ""

    def run(self, script: bytes, shell: str = "sh") -> subprocess.CompletedProcess[bytes]:
        """Run the script as `ssh` would."""
        path = f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            [require_program(shell, "dash" if shell == "sh" else shell)],
            input=script,
            capture_output=True,
            env={"PATH": path},
        )


@pytest.fixture
def other(tmp_path: Path) -> OtherHost:
    """Another host, which has nothing yet."""
    programs = tmp_path / "other" / "bin"
    programs.mkdir(parents=True)
    ours = f'exec {sys.executable} -m fencebus_host.ctl "$@"'
    for name, line in (("fence_virtctl", ours), ("systemctl", f'echo "$@" >> {programs.parent}/told')):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return OtherHost(programs.parent)


def exported(printed: Bytes, file: Path, other: OtherHost) -> bytes:
    """The script for ``file``."""
    printed.readouterr()
    assert run(["config", "export-cmd", str(file), "--to", str(other.target)]) == ExitCode.OK
    return printed.readouterr().out


@pytest.mark.parametrize(
    ("end", "shell"),
    ((b"", "sh"), (b"# no end", "sh"), (b"# no end", "bash"), (b"# \xe4 is Latin-1\r\n\r\n\n", "bash")),
)
def test_the_script_makes_the_same_file_byte_for_byte(
    tmp_path: Path, key_file: Path, other: OtherHost, capsysbinary: Bytes, end: bytes, shell: str
) -> None:
    awkward = "".join(f"# {line}\n" for line in AWKWARD.splitlines())
    file = written(tmp_path, (awkward + tcp(key_file)).encode() + end)
    done = other.run(exported(capsysbinary, file, other), shell)
    assert done.returncode == 0, done
    assert other.target.read_bytes() == file.read_bytes()
    assert other.target.stat().st_mode & 0o777 == 0o600
    assert other.told == "reload-or-restart fence_virtd\n"
    assert [path.name for path in other.target.parent.iterdir()] == [other.target.name]


def test_the_file_that_was_there_is_kept_also_when_the_script_runs_twice(
    tmp_path: Path, key_file: Path, other: OtherHost, capsysbinary: Bytes
) -> None:
    other.target.parent.mkdir()
    other.target.write_text("# the old one\n")
    script = exported(capsysbinary, written(tmp_path, tcp(key_file)), other)
    assert [other.run(script).returncode for _ in range(2)] == [0, 0]
    assert other.target.with_name("fence_virt.conf.bak").read_text() == "# the old one\n"


def test_nothing_changes_where_a_key_was_not_copied(
    tmp_path: Path, key_file: Path, other: OtherHost, capsysbinary: Bytes
) -> None:
    other.target.parent.mkdir()
    other.target.write_text("# the old one\n")
    script = exported(capsysbinary, written(tmp_path, tcp(key_file)), other)
    key_file.unlink()
    done = other.run(script)
    assert done.returncode == ExitCode.BAD_CONFIG
    assert b"bad-key" in done.stdout
    assert other.target.read_text() == "# the old one\n"
    assert other.told == ""


def test_each_file_that_is_named_and_there_has_a_line_to_copy_it_and_none_shows_its_content(
    tmp_path: Path, capsys: Printed
) -> None:
    first, second, account = tmp_path / "key", tmp_path / "the second's key", tmp_path / "account"
    for file in (first, second, account):
        file.touch(mode=0o600)
        file.write_text("user = admin@internal\npassword = very-secret\n")
    manager = f'url = "https://engine.example"; credentials_file = "{account}"; ca_file = "/nowhere/ca.pem";'
    text = (
        'fence_virtd { listener = "tcp"; backend = "ovirt"; }\n'
        f'listeners {{ tcp {{ key_file = "{first}, {second}"; }} }}\nbackends {{ ovirt {{ {manager} }} }}\n'
    )
    found = call(capsys, "config", "export-cmd", written(tmp_path, text))
    assert found.status == ExitCode.OK, found.err
    assert "very-secret" not in found.out
    lines = [shlex.split(line, comments=False) for line in found.out.splitlines() if "scp -p" in line]
    assert [(line[0], line[4], line[6]) for line in lines] == [
        ("#", str(first), "key_file"),
        ("#", str(second), "key_file"),
        ("#", str(account), "credentials_file"),
    ]
    assert all(line[3].endswith(f":{line[4]}") for line in lines)


def test_a_password_and_a_host_that_has_a_name_are_gaps_before_which_the_script_ends(
    tmp_path: Path, key_file: Path, other: OtherHost, capsysbinary: Bytes
) -> None:
    bus = tmp_path / "bus.key"
    bus.touch(mode=0o600)
    bus.write_bytes(b"b" * 64)
    url = "amqp://fence:very@secret word@broker"
    text = tcp(key_file, daemon='host = "hosta";', rest='hosts { host { name = "hosta"; } host { name = "hostb"; } }\n')
    text = text.replace('backend = "libvirt"', 'backend = "qmf"') + "# formerly amqp://fence:secret@broker:5672\n"
    file = written(tmp_path, f'{text}backends {{ qmf {{ url = "{url}"; key_file = "{bus}"; }} }}\n')
    script = exported(capsysbinary, file, other)
    assert b"secret" not in script
    for gap in (b"passwords are left out", b"the host is called hosta"):
        done = other.run(script)
        assert (done.returncode, done.stdout) == (1, b"")
        assert gap in done.stderr
        assert not other.target.parent.exists()
        script = re.sub(rb"\necho [^\n]*" + gap + rb"[^\n]*\nexit 1\n", b"\n", script)
    unfilled = other.run(script)
    assert unfilled.returncode == ExitCode.BAD_CONFIG
    assert not other.target.exists()
    filled = script.replace(b'***@broker"', b'very%40secret@broker"').replace(b'host = "hosta"', b'host = "hostb"')
    done = other.run(filled)
    assert done.returncode == 0, done
    assert b"very%40secret" in other.target.read_bytes()


@pytest.mark.parametrize(
    ("value", "shown"),
    (
        ("amqp://u:p@h", "amqp://u:***@h"),
        ("amqps://u:p@h:5671/v, amqp://u:q@[::1]", "amqps://u:***@h:5671/v, amqp://u:***@[::1]"),
        ("amqp://u:p@q r@h", "amqp://u:***@h"),
        ("amqp://u@v:p@h", "amqp://u@v:***@h"),
        ("amqp1://:p@h", "amqp1://:***@h"),
        ("amqp1://u@h:5672", "amqp1://u@h:5672"),
        ("qemu+ssh://root@h:22/system?keyfile=/a", "qemu+ssh://root@h:22/system?keyfile=/a"),
        ("https://h:443/api", "https://h:443/api"),
    ),
)
def test_of_a_url_only_the_password_is_hidden(value: str, shown: str) -> None:
    item = Item("url", Where("file"), value)
    assert without_secrets(f'url = "{value}";', [item]) == f'url = "{shown}";'


@pytest.mark.parametrize("target", ("fence_virt.conf", "/etc/a\nb"))
def test_a_place_that_a_script_cannot_write_is_refused(
    target: str, tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    found = call(capsys, "config", "export-cmd", written(tmp_path, tcp(key_file)), "--to", target)
    assert (found.status in (ExitCode.USAGE, ExitCode.FAILED), found.out) == (True, "")


def test_a_key_whose_name_would_begin_a_line_of_the_script_is_refused(tmp_path: Path, capsys: Printed) -> None:
    key = tmp_path / "key\nid"
    key.touch(mode=0o600)
    key.write_text("k" * 64)
    found = call(capsys, "config", "export-cmd", written(tmp_path, tcp(key)))
    assert (found.status, found.out) == (ExitCode.FAILED, "")
    assert "give it another name" in found.err


def test_what_no_shell_can_write_and_what_the_daemon_would_not_take_is_refused(
    tmp_path: Path, key_file: Path, capsys: Printed
) -> None:
    found = call(capsys, "config", "export-cmd", written(tmp_path, tcp(key_file) + "# \0\n"))
    assert (found.status, found.out) == (ExitCode.FAILED, "")
    assert "copy the file itself" in found.err
    found = call(capsys, "config", "export-cmd", written(tmp_path, "listeners { tpc { } }"))
    assert (found.status, found.out) == (ExitCode.BAD_CONFIG, "")


def test_without_a_file_there_is_nothing_to_make_elsewhere(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["fencebus_host.config.load"], "DEFAULT_CONFIG", tmp_path / "none")
    found = call(capsys, "config", "export-cmd")
    assert (found.status, found.out) == (ExitCode.FAILED, "")
    assert "the defaults count" in found.err
