"""Builds what a tiny guest boots: Debian's cloud kernel, and a file system with a shell, a Python that can run the
one-file client, and C's client.

Nothing is installed but what tools/debian/tests.txt names; the kernel is unpacked from its package, which is kept in
``.cache`` of the checkout.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.components import CHECKOUT, missing, require_file, require_program
from tests.guests.cpio import Archive

CACHE = CHECKOUT / ".cache" / "guests"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")

MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "drivers/char/virtio_console",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)
"""In the order in which they need each other."""

# NSS opens these by name, and checks them against their .chk files.
NSS = [f"lib{name}.{kind}" for name in ("softokn3", "freebl3", "freeblpriv3") for kind in ("so", "chk")]

PYTHON = Path("/usr/lib/python3.11")
ENCODINGS = ("__init__", "aliases", "ascii", "latin_1", "utf_8", "cp437")
PACKAGES = ("collections", "importlib", "json")


@dataclass(frozen=True)
class Image:
    """What QEMU is given: two files."""

    kernel: Path
    initrd: Path


def build(folder: Path, key: bytes) -> Image:
    """Make the files in ``folder``; ``key`` is the guests' /etc/cluster/fence_xvm.key."""
    kernel, modules = _unpacked_kernel()
    archive = Archive()
    _add_shell(archive)
    _add_modules(archive, modules)
    _add_python(archive)
    _add_c_client(archive)
    _add_our_client(archive, folder)
    archive.add("etc/cluster/fence_xvm.key", key, 0o600)
    initrd = folder / "initrd"
    initrd.write_bytes(archive.finished())
    return Image(kernel, initrd)


# -- the kernel ----------


@cache
def _unpacked_kernel() -> tuple[Path, Path]:
    """The kernel and the folder of its modules, from the cache or else from Debian."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if not list(CACHE.glob("*/boot/vmlinuz-*")):
        _fetch_kernel()
    kernel = max(CACHE.glob("*/boot/vmlinuz-*"))
    return kernel, kernel.parent.parent / "lib" / "modules" / kernel.name.partition("-")[2] / "kernel"


def _fetch_kernel() -> None:
    """Download and unpack it; the lists of packages may be absent or too old, so a second attempt renews them."""
    apt = require_program("apt-get", "apt")
    if not _download(apt):
        subprocess.run([apt, "update", "-qq"], capture_output=True, timeout=120)
        if not _download(apt):
            missing(f"Debian's package {KERNEL_PACKAGE}", "a network, or apt-get update")


def _download(apt: Path) -> bool:
    done = subprocess.run(["apt-cache", "depends", KERNEL_PACKAGE], capture_output=True, text=True)
    behind = re.search(r"Depends: (linux-image-\S+-cloud-amd64)\b", done.stdout)
    if behind is None:
        return False
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        subprocess.run([apt, "download", "-qq", behind[1]], cwd=folder, capture_output=True, timeout=120)
        packages = list(Path(folder).glob("*.deb"))
        for package in packages:
            subprocess.run(["dpkg-deb", "-x", package, Path(folder) / "unpacked"], check=True)
            with contextlib.suppress(OSError):  # another run has been quicker
                (Path(folder) / "unpacked").rename(CACHE / package.stem)
    return bool(packages)


# -- the file system ----------


def _add_shell(archive: Archive) -> None:
    archive.add("bin/busybox", require_file("/bin/busybox", "busybox-static").read_bytes(), 0o755)
    archive.add("init", Path(__file__).with_name("init.sh").read_bytes(), 0o755)
    for folder in ("proc", "sys", "dev", "tmp"):
        archive.folder(folder)


def _add_modules(archive: Archive, folder: Path) -> None:
    for module in MODULES:
        archive.add(f"modules/{Path(module).name}.ko", (folder / f"{module}.ko").read_bytes())
    archive.add("modules/order", "".join(f"{Path(module).name}.ko\n" for module in MODULES).encode())


def _add_python(archive: Archive) -> None:
    program = Path("/usr/bin/python3.11")
    _add_programs(archive, [require_file(program, "python3.11-minimal")])
    archive.link("usr/bin/python3", "python3.11")
    sources = [*PYTHON.glob("*.py"), *(PYTHON / "encodings" / f"{name}.py" for name in ENCODINGS)]
    for package in PACKAGES:
        sources += (PYTHON / package).glob("*.py")
    for source in sources:
        _add_file(archive, source)
        for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.cpython-311.pyc"):
            _add_file(archive, compiled)
    for extension in (PYTHON / "lib-dynload").glob("termios.*"):
        _add_file(archive, extension)


def _add_c_client(archive: Archive) -> None:
    nss = [require_file(LIBRARIES / name, "libnss3") for name in NSS]
    client = require_program("fence_virt", "fence-virt")
    _add_programs(archive, [client, *(path for path in nss if path.suffix == ".so")])
    for path in nss:
        _add_file(archive, path)
    archive.link("usr/sbin/fence_xvm", "fence_virt")


def _add_our_client(archive: Archive, folder: Path) -> None:
    target = folder / "fence_virt"
    builder = CHECKOUT / "guest_client" / "build_onefile.py"
    subprocess.run([sys.executable, builder, "--output", target], check=True, capture_output=True)
    archive.add("ours/fence_virt", target.read_bytes(), 0o755)
    archive.link("ours/fence_xvm", "fence_virt")


def _add_programs(archive: Archive, programs: Iterable[Path]) -> None:
    """Programs or libraries, and every library that they are linked to."""
    for program in programs:
        _add_file(archive, program, 0o755)
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
        for library in re.findall(r"(/\S+\.so\S*) \(0x", done.stdout):
            _add_file(archive, Path(library), 0o755)


def _add_file(archive: Archive, path: Path, mode: int = 0o644) -> None:
    """A file of this machine, where the guest will look for it."""
    archive.add(str(path).lstrip("/"), path.read_bytes(), mode, int(path.stat().st_mtime))
