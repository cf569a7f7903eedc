"""rpmbuild makes packages of the spec that bring what Debian's bring."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.components import require_program
from tests.package.fresh_root import FreshRoot
from tests.package.made_packages import DEBIANS_ALONE, made_packages
from tests.package.rpm_root import DNF, make_stand_ins, rpm_root

pytestmark = pytest.mark.timeout(200)

CONFIG = "/etc/fence_virt.conf"
UNIT = "/usr/lib/systemd/system/fence_virtd.service"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our packages by their names, built as `make package` does."""
    require_program("rpmbuild", package="rpm")
    target = made_packages("build_rpm.py", tmp_path_factory)
    return {path.name.rpartition("-")[0].rpartition("-")[0]: path for path in target.glob("*.rpm")}


@pytest.fixture(scope="module")
def of_c(tmp_path_factory: pytest.TempPathFactory) -> tuple[FreshRoot, Path]:
    """A host with the C programs, of which each test gets a copy, and the stand-ins for their packages."""
    stand_ins = make_stand_ins(tmp_path_factory.mktemp("made"))
    return rpm_root(tmp_path_factory.mktemp("of-c"), stand_ins), stand_ins


def ask(package: Path, *question: str) -> list[str]:
    """Return what rpm says of a package's file."""
    done = subprocess.run(
        ["rpm", "-qp", *question, package], capture_output=True, text=True, env=DEBIANS_ALONE, timeout=20
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_there_is_one_for_guests_and_one_for_hosts(packages: dict[str, Path]) -> None:
    assert set(packages) == {"fencebus-client", "fencebus-daemon"}


def test_each_brings_its_programs_and_their_pages(packages: dict[str, Path]) -> None:
    client = {"/usr/sbin/fence_virt", "/usr/sbin/fence_xvm", "/usr/share/man/man8/fence_xvm.8"}
    daemon = {"/usr/sbin/fence_virtd", "/usr/sbin/fence_virtctl", "/usr/lib/systemd/system/fence_virtd.service"}
    daemon |= {"/usr/sbin/fencebus-agentd", "/usr/lib/systemd/system/fencebus-agentd.service"}
    assert client <= set(ask(packages["fencebus-client"], "-l"))
    assert daemon <= set(ask(packages["fencebus-daemon"], "-l"))


def test_neither_holds_byte_code_of_the_machine_that_made_it(packages: dict[str, Path]) -> None:
    files = [name for package in packages.values() for name in ask(package, "-l")]
    assert [name for name in files if "__pycache__" in name or name.endswith(".pyc")] == []


def test_each_takes_the_place_of_the_c_programs_package(packages: dict[str, Path]) -> None:
    for ours, theirs in (("fencebus-client", "fence-virt"), ("fencebus-daemon", "fence-virtd")):
        assert theirs in ask(packages[ours], "--provides")
        assert theirs in ask(packages[ours], "--conflicts")


def test_the_unit_reads_red_hats_place_for_its_options(packages: dict[str, Path], tmp_path: Path) -> None:
    unpack = f"rpm2cpio {packages['fencebus-daemon']} | cpio -id --quiet"
    require_program("cpio", package="cpio")
    subprocess.run(["sh", "-ec", unpack], cwd=tmp_path, check=True, env=DEBIANS_ALONE, timeout=20)
    unit = (tmp_path / "usr/lib/systemd/system/fence_virtd.service").read_text()
    assert "EnvironmentFile=-/etc/sysconfig/fence_virtd\n" in unit
    agents = (tmp_path / "usr/lib/systemd/system/fencebus-agentd.service").read_text()
    assert "EnvironmentFile=-/etc/sysconfig/fencebus-agentd\n" in agents
    assert (tmp_path / "usr/sbin/fence_virtd").readlink() == Path("../libexec/fencebus/fence_virtd")


def test_they_need_what_their_programs_import_and_no_particular_python(packages: dict[str, Path]) -> None:
    needed = {line.split()[0] for line in ask(packages["fencebus-daemon"], "--requires")}
    assert {"python3", "python3-libvirt", "python3-lark", "python3-click", "python3-rich"} <= needed
    client = {line for line in ask(packages["fencebus-client"], "--requires") if not line.startswith("rpmlib(")}
    assert client == {"python3 >= 3.9", "/usr/bin/python3", "/bin/sh"}


def test_every_file_belongs_to_root_and_nobody_else_may_write_it(packages: dict[str, Path]) -> None:
    listed = "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]"
    for package in packages.values():
        for line in ask(package, "--queryformat", listed):
            mode, user, group, name = line.split()
            assert (user, group) == ("root", "root"), line
            assert mode[0] == "l" or (mode[5], mode[8]) == ("-", "-"), line
            program = name.startswith(("/usr/sbin/", "/usr/libexec/fencebus/"))
            assert mode[0] != "-" or (mode[3] == "x") == program, line


def test_dnf_swaps_them_with_the_c_programs_and_back_and_keeps_what_the_administrator_made(
    packages: dict[str, Path], of_c: tuple[FreshRoot, Path], tmp_path: Path
) -> None:
    root, stand_ins = of_c[0].copied(tmp_path), of_c[1]
    conf = 'fence_virtd { listener = "tcp"; backend = "libvirt"; } listeners { tcp { hash = "none"; auth = "none"; } }'
    root.must("sh", "-c", f"cat >{CONFIG}; chmod 600 {CONFIG}", stdin=conf)
    before = root.must("stat", "-c", "%U %a", CONFIG) + root.must("cat", CONFIG)

    client, daemon = packages["fencebus-client"], packages["fencebus-daemon"]
    said = root.from_outside(f"{DNF} swap fence-virt {client} && {DNF} swap fence-virtd {daemon}")
    assert f"{CONFIG} saved as {CONFIG}.rpmsave" in said, "the C daemon's package took it away"
    assert root.must("stat", "-c", "%U %a", CONFIG) + root.must("cat", CONFIG) == before
    assert root.must("systemctl", "is-enabled", "fence_virtd").strip() == "enabled"
    assert root.from_outside("rpm --root $ROOT --verify fencebus-client fencebus-daemon") == ""
    for program in ("fence_virtd", "fence_xvm", "fence_virt"):
        assert "fencebus" in root.must(program, "-V")
    root.must("fence_virtctl", "config", "check")

    theirs = (stand_ins / f"{name}-4.14-1.noarch.rpm" for name in ("fence-virt", "fence-virtd"))
    for ours, c in zip(("fencebus-client", "fencebus-daemon"), theirs, strict=True):
        root.from_outside(f"{DNF} swap {ours} {c}")
    assert root.must("cat", UNIT).startswith("# C's")
    assert root.must("systemctl", "is-enabled", "fence_virtd").strip() == "enabled"
    assert root.must("stat", "-c", "%U %a", CONFIG) + root.must("cat", CONFIG) == before
    for folder in ("/usr/share/fencebus", "/usr/share/fencebus-daemon", "/usr/libexec/fencebus"):
        assert not root.has(folder), folder


def test_a_host_without_the_c_daemon_gets_it_and_loses_it_whole(
    packages: dict[str, Path], of_c: tuple[FreshRoot, Path], tmp_path: Path
) -> None:
    root = of_c[0].copied(tmp_path)
    root.from_outside(f"{DNF} remove fence-virt fence-virtd")
    root.from_outside(f"{DNF} install {packages['fencebus-daemon']}")
    assert "enabled" not in root.run("systemctl", "is-enabled", "fence_virtd").stdout.split()
    root.must("systemctl", "enable", "fence_virtd", "fencebus-agentd")
    root.from_outside(f"{DNF} remove fencebus-daemon")
    for unit in ("fence_virtd", "fencebus-agentd"):
        assert not root.has(f"/etc/systemd/system/multi-user.target.wants/{unit}.service")
        assert not root.has(f"/usr/lib/systemd/system/{unit}.service")


def test_its_scripts_are_shell(packages: dict[str, Path]) -> None:
    lines = ask(packages["fencebus-daemon"], "--scripts")
    script = "\n".join(line for line in lines if "scriptlet (using" not in line)
    assert "systemctl enable fence_virtd.service" in script
    subprocess.run(["sh", "-n"], input=script, text=True, check=True, timeout=20)
