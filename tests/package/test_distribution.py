"""What an administrator gets: both archives, the wheel in an empty environment, and a client that runs there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.components import CHECKOUT

IMPORT_PACKAGES = {"fencebus_schemas", "fencebus_agent", "fencebus_host", "fencebus_guest", "fencebus_broker"}
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__",
    "*.egg-info",
    ".git",
    ".venv",
    ".tox",
    "build",
    "dist",
    ".*_cache",
    ".coverage*",
    ".hypothesis",
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command far from the checkout, with nothing inherited that would show it the checkout's packages."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(cwd), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )


def succeed(*command: str | Path, cwd: Path) -> str:
    """Run a command that has to succeed; return what it printed."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel that was built from it."""
    # A copy, because a build leaves folders behind, and takes along what an earlier one has left.
    source = tmp_path_factory.mktemp("build") / "source"
    shutil.copytree(CHECKOUT, source, ignore=LEFT_OUT)
    built = source.parent / "archives"
    succeed(sys.executable, "-m", "build", "--no-isolation", "--outdir", built, source, cwd=source.parent)
    return built


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    """The wheel."""
    (found,) = archives.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with nothing but the wheel, no extra."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    succeed(sys.executable, "-m", "venv", "--without-pip", place, cwd=place.parent)
    pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python")
    succeed(*pip, "install", "--quiet", "--no-index", wheel, cwd=place.parent)
    return place


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.timeout(120)
def test_the_source_archive_holds_what_building_and_testing_needs(archives: Path) -> None:
    (found,) = archives.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "Makefile", "tox.ini", ".ci/run", "tools/install-debian", "tests/conftest.py"} <= names
    assert "packaging/systemd/fence_virtd.service" in names


@pytest.mark.timeout(120)
def test_the_wheel_holds_our_import_packages_and_no_other(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in names_in(wheel)}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == IMPORT_PACKAGES


@pytest.mark.timeout(120)
@pytest.mark.parametrize("package", sorted(IMPORT_PACKAGES))
def test_every_package_says_that_it_is_typed(wheel: Path, package: str) -> None:
    assert f"{package}/py.typed" in names_in(wheel)


@pytest.mark.timeout(120)
def test_every_module_and_data_file_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    shipped = set(names_in(wheel))
    folders = [CHECKOUT / folder / name for folder, name in _homes()]
    wanted = {
        str(path.relative_to(folder.parent))
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - shipped == set()


def _homes() -> list[tuple[str, str]]:
    return [
        ("schemas", "fencebus_schemas"),
        ("agent", "fencebus_agent"),
        ("host_agent", "fencebus_host"),
        ("guest_client", "fencebus_guest"),
        ("broker_config", "fencebus_broker"),
    ]


@pytest.mark.timeout(120)
def test_the_wheel_brings_the_license(wheel: Path) -> None:
    assert any(name.endswith("LICENSE") for name in names_in(wheel))


@pytest.mark.timeout(120)
def test_site_packages_get_our_packages_and_no_tests_and_no_bare_names(installed: Path) -> None:
    (site,) = (installed / "lib").glob("python3.*/site-packages")
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == IMPORT_PACKAGES


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ("fence_virt", "fence_xvm"))
def test_the_client_runs_where_nothing_else_is_installed(installed: Path, name: str) -> None:
    program = installed / "bin" / name
    done = run(program, "-V", cwd=installed.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0.1.0" in done.stdout


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ("fence_virt", "fence_xvm"))
def test_the_client_starts_without_reading_site_packages(installed: Path, name: str) -> None:
    """Its start-up time is counted in milliseconds: pip must not have replaced the interpreter's options."""
    assert (installed / "bin" / name).read_text().splitlines()[0] == "#!/usr/bin/python3 -IS"


@pytest.mark.timeout(120)
def test_the_daemon_says_what_is_missing_where_the_extra_is_not_installed(installed: Path) -> None:
    done = run(installed / "bin" / "fence_virtd", "-F", "-f", "/nonexistent", cwd=installed.parent)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "fencebus[host]" in done.stderr


@pytest.mark.timeout(120)
def test_the_program_for_brokers_says_what_is_missing_where_the_extra_is_not_installed(installed: Path) -> None:
    done = run(installed / "bin" / "fencebus_broker", "render", cwd=installed.parent)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "fencebus[broker]" in done.stderr
