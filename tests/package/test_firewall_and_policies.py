"""What stands around the daemon on a host: firewalld, SELinux, AppArmor, as far as it shows without their kernels."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import CHECKOUT, require_file, require_program, require_root

PACKAGING = CHECKOUT / "packaging"
QEMU = 64055
"""The user and the group that QEMU runs as."""

LISTEN = """
import sys
from pathlib import Path
from fencebus_host.listeners.line_socket import listening_socket
with listening_socket(Path(sys.argv[1])) as made:
    made.listen()
    print("listening", flush=True)
    sys.stdin.read()
"""
CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as made:
    made.connect(sys.argv[1])
"""
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
    ("mode", "path"), (("bind", "/run/fencebus-guests/a.sock"), ("connect", "/run/fencebus-guests/b.sock"))
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


@pytest.fixture
def sockets_folder(tmp_path: Path) -> Iterator[Path]:
    """The folder for guests' sockets as systemd makes it, with QEMU's group under a number that it has here."""
    program = require_program("systemd-tmpfiles", package="systemd")
    require_root()
    for name in ("run", "etc"):
        (tmp_path / name).mkdir()
    (tmp_path / "etc" / "group").write_text(f"root:x:0:\nlibvirt-qemu:x:{QEMU}:\n")
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    config = PACKAGING / "tmpfiles.d" / "fencebus.conf"
    subprocess.run([program, f"--root={tmp_path}", "--create", config], check=True, timeout=20)
    # pytest's own folders are root's alone, and QEMU has to get through.
    folder = Path(tempfile.mkdtemp(prefix="fencebus-sockets-"))
    folder.chmod(0o755)
    yield (tmp_path / "run" / "fencebus-guests").rename(folder / "guests")
    shutil.rmtree(folder)


def test_qemu_connects_to_the_daemons_socket_and_the_daemon_needs_no_right_to_give_files_away(
    sockets_folder: Path,
) -> None:
    unit = (PACKAGING / "systemd" / "fence_virtd.service").read_text(encoding="utf-8")
    assert "ReadWritePaths=-/run/fencebus-guests\n" in unit
    allowed = next(line for line in unit.splitlines() if line.startswith("CapabilityBoundingSet="))
    rights = ",".join(["-all", *(f"+{word[4:].lower()}" for word in allowed.partition("=")[2].split())])
    setpriv = require_program("setpriv", package="util-linux")
    daemon: list[str | Path] = [
        setpriv,
        f"--bounding-set={rights}",
        sys.executable,
        "-c",
        LISTEN,
        sockets_folder / "guest.sock",
    ]
    qemu: list[str | Path] = [
        setpriv,
        f"--reuid={QEMU}",
        f"--regid={QEMU}",
        "--clear-groups",
        "/usr/bin/python3",
        "-IS",
        "-c",
        CONNECT,
    ]
    with subprocess.Popen(daemon, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline() == b"listening\n"
        done = subprocess.run([*qemu, sockets_folder / "guest.sock"], capture_output=True, text=True, timeout=20)
        listening.communicate()
    assert (done.returncode, done.stderr) == (0, "")
