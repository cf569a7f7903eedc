"""rpmbuild makes packages of the spec that bring what Debian's bring."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.components import require_program
from tests.package.made_packages import DEBIANS_ALONE, make_packages


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our packages by their names, built as `make package` does."""
    require_program("rpmbuild", package="rpm")
    target = tmp_path_factory.mktemp("rpms")
    make_packages("build_rpm.py", target)
    return {path.name.rpartition("-")[0].rpartition("-")[0]: path for path in target.glob("*.rpm")}


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
    assert (tmp_path / "usr/sbin/fence_virtd").readlink() == Path("../libexec/fencebus/fence_virtd")


def test_its_scripts_are_shell(packages: dict[str, Path]) -> None:
    lines = ask(packages["fencebus-daemon"], "--scripts")
    script = "\n".join(line for line in lines if "scriptlet (using" not in line)
    assert "systemctl enable fence_virtd.service" in script
    subprocess.run(["sh", "-n"], input=script, text=True, check=True, timeout=20)
