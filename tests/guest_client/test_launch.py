"""The client as a program: as installed and as one file, under every Python from 3.9 to 3.13 that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fencebus_schemas import digest, xvm
from tests.components import CHECKOUT, require_file
from tests.guest_client.conftest import KEY
from tests.guest_client.scripted_daemon import ScriptedDaemon

SYSTEM = "/usr/bin/python3"
MINORS = (9, 10, 11, 12, 13)
LAUNCHER = CHECKOUT / "guest_client" / "bin" / "fence_virt"
BUILDER = CHECKOUT / "guest_client" / "build_onefile.py"
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
LIST = xvm.pack_list([xvm.ListRecord("test", UUID, 1)])


def works(python: str, minor: int) -> bool:
    # A shim of pyenv may stand for a version that is not there.
    code = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([python, "-IS", "-c", code], capture_output=True).returncode == 0


def require_python(minor: int) -> str:
    """Return an interpreter of version 3.minor, or skip: no machine has them all."""
    places = [shutil.which(f"python3.{minor}")]
    places += sorted(str(p) for p in Path(os.environ.get("PYENV_ROOT", "/")).glob(f"versions/3.{minor}.*/bin/python3"))
    for python in [SYSTEM, *filter(None, places)]:
        if works(python, minor):
            return python
    pytest.skip(f"Python 3.{minor} is not on this machine")


def execute(*command: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run a command as a cluster manager would: with next to no environment."""
    done = subprocess.run(
        [str(part) for part in command],
        input=stdin,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=30,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client as one file, with byte code for the system's Python only."""
    target = tmp_path_factory.mktemp("one") / "fence_virt"
    status, output, errors = execute(require_file(SYSTEM, "python3"), BUILDER, "--output", target)
    assert (status, errors) == (0, "")
    assert "copy it as fence_virt or fence_xvm" in output
    return target


def check_end_to_end(key: str, *command: str | Path) -> None:
    """Ask for a status, a list and an off, over TCP."""
    expected = (
        ("status", b"\2", (2, "Status: OFF\n", "")),
        ("list", LIST, (0, f"{'test':<32} {UUID} on\n", "")),
        ("off", b"\0", (0, "", "")),
    )
    for action, answer, result in expected:
        with ScriptedDaemon(KEY, answer) as daemon:
            port = str(daemon.serve_tcp())
            assert execute(*command, "-T", "127.0.0.1", "-p", port, "-k", key, "-n", "vm", "-o", action) == result


@pytest.mark.parametrize("minor", MINORS)
def test_every_python_runs_the_installed_client(minor: int, key: str) -> None:
    check_end_to_end(key, require_python(minor), "-IS", LAUNCHER)


@pytest.mark.parametrize("minor", MINORS)
def test_every_python_runs_the_one_file(minor: int, key: str, one_file: Path) -> None:
    check_end_to_end(key, require_python(minor), "-IS", one_file)


@pytest.mark.parametrize("minor", MINORS)
def test_every_python_compiles_every_module(minor: int, tmp_path: Path) -> None:
    for folder in ("schemas/fencebus_schemas", "guest_client/fencebus_guest"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    status, output, errors = execute(require_python(minor), "-IW", "error", "-m", "compileall", "-qf", tmp_path)
    assert (status, output, errors) == (0, "", "")


def test_the_systems_python_runs_both_by_their_first_line(key: str, one_file: Path) -> None:
    require_file(SYSTEM, "python3")
    for program in (LAUNCHER, one_file):
        assert program.read_bytes().startswith(b"#!/usr/bin/python3 -IS\n")
        check_end_to_end(key, program)


def test_the_name_decides_which_client_it_is(one_file: Path, tmp_path: Path) -> None:
    copied, linked = tmp_path / "copy" / "fence_xvm", tmp_path / "link" / "fence_xvm"
    for path in (copied, linked):
        path.parent.mkdir()
    shutil.copy(one_file, copied)
    linked.symlink_to(one_file)
    for program in (copied, linked, LAUNCHER.with_name("fence_xvm")):
        assert execute(program, "-V")[1].startswith("fence_xvm 1.9.0\n")
        assert "multicast_address" in execute(program, "-o", "metadata")[1]
    assert execute(one_file, "-V")[1].startswith("fence_virt 1.9.0\n")


def test_standard_input_reaches_the_program(one_file: Path) -> None:
    for program in (LAUNCHER, one_file):
        status, output, errors = execute(program, stdin="action = validate-all\nplug = vm1\nodd=1\n")
        assert (status, output) == (0, "")
        assert errors == "Parse error: Ignoring unknown option 'odd'\n"
        assert execute(program, stdin="plug=vm1\naction=\n")[0] == 1


def test_a_name_keeps_its_bytes_where_the_caller_has_no_locale(key: str, one_file: Path) -> None:
    for program in (LAUNCHER, one_file):
        with ScriptedDaemon(KEY, b"\0") as daemon:
            port = str(daemon.serve_tcp())
            arguments = ["-T", "127.0.0.1", "-p", port, "-k", key, "-n", "caf\u00e9", "-o", "off"]
            assert execute(program, *arguments)[0] == 0
        assert daemon.requests[0].domain == "caf\u00e9"


def test_a_closed_standard_input_is_an_error() -> None:
    status, _, errors = execute("/bin/sh", "-c", 'exec "$0" <&-', LAUNCHER)
    assert (status, errors) == (1, "fence_virt: without options they are read from standard input, which is closed\n")


@pytest.mark.parametrize(
    ("packages", "launcher"),
    (
        ("share/fencebus", "bin"),
        ("share/fencebus", "sbin"),
        (f"lib/python3.{sys.version_info[1]}/site-packages", "bin"),
        (f"lib/python3.{sys.version_info[1]}/dist-packages", "bin"),
    ),
)
def test_an_installed_launcher_finds_its_packages_beside_itself(tmp_path: Path, packages: str, launcher: str) -> None:
    for folder in ("schemas/fencebus_schemas", "guest_client/fencebus_guest"):
        shutil.copytree(CHECKOUT / folder, tmp_path / packages / Path(folder).name)
    program = tmp_path / launcher / "fence_virt"
    program.parent.mkdir()
    shutil.copy(LAUNCHER, program)
    elsewhere = tmp_path / "elsewhere" / "fence_xvm"
    elsewhere.parent.mkdir()
    elsewhere.symlink_to(os.path.relpath(program, elsewhere.parent))
    assert execute(sys.executable, "-IS", program, "-V")[1].startswith("fence_virt 1.9.0\n")
    assert execute(sys.executable, "-IS", elsewhere, "-V")[1].startswith("fence_xvm 1.9.0\n")


def test_the_one_file_holds_the_client_and_the_codecs_and_nothing_else(one_file: Path) -> None:
    names = zipfile.ZipFile(one_file).namelist()
    assert "__main__.py" in names
    assert "fencebus_guest/multicast.py" in names
    assert any(name.endswith("/fencebus_schemas/xvm.pyc") for name in names)
    assert not [name for name in names if "model" in name or "deadline" in name]
    assert os.access(one_file, os.X_OK)


def test_the_same_source_makes_the_same_file(one_file: Path, tmp_path: Path) -> None:
    execute(SYSTEM, BUILDER, "--output", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == one_file.read_bytes()


@pytest.mark.parametrize(
    ("program", "transport"), (("fence_virt", ["-T", "127.0.0.1"]), ("fence_xvm", ["-a", "225.0.0.215", "-t", "1"]))
)
def test_a_request_imports_nothing_slow(key: str, tcp_port: int, program: str, transport: list[str]) -> None:
    folders = [str(CHECKOUT / "guest_client"), str(CHECKOUT / "schemas")]
    arguments = [program, *transport, "-p", str(tcp_port), "-k", key, "-n", "vm", "-o", "off"]
    code = (
        f"import sys; sys.path += {folders}\n"
        # Nothing of a test leaves the loopback interface.
        "if sys.argv[1:]:\n"
        " import fencebus_guest.addresses as known\n"
        " known.local_addresses = lambda family: [known.LocalAddress(bytes((127, 0, 0, 1)), 1)]\n"
        f"from fencebus_guest.main import main\nmain({arguments})\nprint(*sys.modules)"
    )
    loopback_only = ["loopback"] if program == "fence_xvm" else []
    loaded = set(execute(require_file(SYSTEM, "python3"), "-IS", "-c", code, *loopback_only)[1].split())
    slow = {"os", "re", "socket", "enum", "typing", "collections", "dataclasses", "functools", "getopt", "argparse"}
    slow |= {
        "logging",
        "subprocess",
        "inspect",
        "fencebus_guest.help",
        "fencebus_guest.metadata",
        "fencebus_guest.serial",
    }
    slow |= set() if digest.fips_enabled() else {"hashlib", "_hashlib"}
    assert "fencebus_guest.main" in loaded
    assert not loaded & slow
