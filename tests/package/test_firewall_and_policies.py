"""What stands around the daemon on a host: firewalld, SELinux, AppArmor, as far as it shows without their kernels."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.components import CHECKOUT, require_file, require_program

PACKAGING = CHECKOUT / "packaging"
DOMAIN = """
<domain type='kvm'><name>guest</name><uuid>{uuid}</uuid><memory>1024</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <serial type='unix'><source mode='{mode}' path='{path}'/><target port='1'/></serial>
    <channel type='unix'><source mode='{mode}' path='{path}-channel'/><target type='virtio' name='fence'/></channel>
  </devices>
</domain>
"""


@pytest.fixture
def firewalld(tmp_path: Path) -> list[str | Path]:
    """The command that changes a configuration of firewalld of its own, with our services in it."""
    program = require_program("firewall-offline-cmd", package="firewalld")
    for path in ("zones", "services"):
        (tmp_path / path).mkdir()
    for service in (PACKAGING / "firewalld").glob("*.xml"):
        shutil.copy(service, tmp_path / "services")
    shutil.copy(require_file("/etc/firewalld/firewalld.conf", package="firewalld"), tmp_path)
    return [program, f"--system-config={tmp_path}", "--default-config=/usr/lib/firewalld"]


def ask(command: list[str | Path], *arguments: str) -> str:
    """Run firewalld's command and return what it printed."""
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_firewalld_takes_the_services_and_the_line_of_the_documentation(firewalld: list[str | Path]) -> None:
    assert {"1229/tcp", "1229/udp"} <= set(ask(firewalld, "--info-service=fence_virtd").split())
    ask(firewalld, "--check-config")
    ask(firewalld, "--zone=libvirt", "--add-service=fence_virtd")
    assert "fence_virtd" in ask(firewalld, "--zone=libvirt", "--list-services").split()
    text = (CHECKOUT / "docs" / "packages.md").read_text(encoding="utf-8")
    assert "firewall-cmd --permanent --zone=libvirt --add-service=fence_virtd" in text


def test_the_selinux_module_compiles_and_names_every_folder_of_the_daemon(tmp_path: Path) -> None:
    makefile = require_file("/usr/share/selinux/devel/Makefile", package="selinux-policy-dev")
    require_program("checkmodule", package="checkpolicy")
    require_program("semodule_package", package="semodule-utils")
    for source in (PACKAGING / "selinux").iterdir():
        shutil.copy(source, tmp_path)
    made = subprocess.run(
        ["make", "-f", makefile, "fencebus.pp"], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "rror" not in made.stderr
    unpack = ["semodule_unpackage", "fencebus.pp", "fencebus.mod", "fencebus.contexts"]
    subprocess.run(unpack, cwd=tmp_path, check=True, timeout=20)
    contexts = (tmp_path / "fencebus.contexts").read_text()
    for folder in (
        "/run/fencebus(",
        "/run/fencebus-guests(",
        "/var/lib/fencebus(",
        "/usr/libexec/fencebus/fence_virtd",
    ):
        assert folder in contexts


@pytest.mark.parametrize(
    ("mode", "path"), (("bind", "/run/fencebus-guests/guest.sock"), ("connect", "/run/fencebus/guest.sock"))
)
def test_libvirts_apparmor_profile_lets_qemu_at_the_socket(mode: str, path: str) -> None:
    program = require_file("/usr/lib/libvirt/virt-aa-helper", package="libvirt-daemon-system")
    name = uuid.uuid4()
    domain = DOMAIN.format(uuid=name, mode=mode, path=path)
    made = subprocess.run(
        [program, "--create", "--dryrun", "--uuid", f"libvirt-{name}"], input=domain, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert f'"{path}" rw,' in made.stderr
    assert f'"{path}-channel" rw,' in made.stderr


def test_systemd_makes_the_folder_for_sockets(tmp_path: Path) -> None:
    program = require_program("systemd-tmpfiles", package="systemd")
    (tmp_path / "run").mkdir()
    config = PACKAGING / "tmpfiles.d" / "fencebus.conf"
    subprocess.run([program, f"--root={tmp_path}", "--create", config], check=True, timeout=20)
    assert (tmp_path / "run/fencebus-guests").stat().st_mode & 0o7777 == 0o711
