"""Provides a fresh Debian in a folder, with Debian's fence-virt and fence-virtd in it, and runs programs there.

To make one takes most of a minute, so the untouched root is kept in the user's cache folder (it is Debian's alone: what
it holds depends on no earlier run of the tests), and each test gets a layer of its own above it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from tests.components import missing, require_program, require_root

SUITE = "bookworm"
# What the C programs' packages need comes with them; what ours need is what their control file says.
PACKAGES = ("fence-virt", "fence-virtd", "python3-libvirt", "python3-lark", "python3-click", "python3-rich")
RETRIES = 3
"""How often a mirror is asked again for what it did not give; each time later."""
UNREAD = ("doc", "man", "locale", "i18n")
BUILD = (
    "--mode=root",
    "--variant=apt",
    "--format=directory",
    "--quiet",
    f"--include={','.join(PACKAGES)}",
    *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in UNREAD),
    "--dpkgopt=force-unsafe-io",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    # The C programs' own archives stay, for the way back, and the lists that name them.
    "--skip=cleanup/apt",
    "--customize-hook=find $1/var/cache/apt -name *.deb ! -name fence-virt* -delete",
)
# A process group of its own, which ends with the command; no network but an empty loopback and libvirt's bridge, on
# which nobody else is; /proc of the group alone.
# The mounts are this command's alone and end with it; what it writes stays in the layer above.
INSIDE = """
layer=$1 below=$2 shared=$3
shift 3
mount -t overlay -o "lowerdir=$below,upperdir=$layer/above,workdir=$layer/work,volatile" overlay "$layer/root"
mount -t proc proc "$layer/root/proc"
mount -t sysfs sysfs "$layer/root/sys"
mount --bind "$shared" "$layer/root/mnt"
ip link set lo up
ip link add virbr0 type bridge mcast_snooping 0
ip addr add 192.168.122.1/24 dev virbr0
ip link set virbr0 up
"""
CHROOT = 'exec chroot "$layer/root" "$@"\n'
OUTSIDE = 'exec env ROOT="$layer/root" "$@"\n'
"""The last step of a program of this machine, which finds the root in its environment."""


class FreshRoot:
    """A root folder of its own above the untouched one, and the programs in it; `shared` is seen inside as /mnt."""

    def __init__(self, layer: Path, below: Path | str, shared: Path) -> None:
        self._folders = (layer, below, shared)
        for name in ("above", "work", "root"):
            (layer / name).mkdir(parents=True)
        tried = self.run("true")
        if tried.returncode:
            missing(f"a root in layers ({tried.stderr.strip()})", "a kernel with overlayfs, and the right to mount")

    def copied(self, layer: Path) -> FreshRoot:
        """A root that holds what this one does, which is not to change from now on; it stays as it is."""
        own, below, shared = self._folders
        return FreshRoot(layer, f"{own}/above:{below}", shared)

    def run(self, *argv: str, stdin: str = "", last: str = CHROOT) -> subprocess.CompletedProcess[str]:
        """Run a program inside; whatever it leaves running is killed with it."""
        work = self._folders[0] / "work" / "work"
        # A volatile layer (dpkg's syncs cost nothing) leaves this mark, and is not mounted again while it is there.
        shutil.rmtree(work / "incompat", ignore_errors=True)
        unshare = require_program("unshare", package="util-linux")
        alone = ("--mount", "--pid", "--fork", "--kill-child", "--net")
        return subprocess.run(
            [unshare, *alone, "sh", "-ec", INSIDE + last, "sh", *self._folders, *argv],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    def must(self, *argv: str, stdin: str = "", last: str = CHROOT) -> str:
        """Run a program inside that has to succeed; returns what it printed."""
        done = self.run(*argv, stdin=stdin, last=last)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def from_outside(self, script: str) -> str:
        """Run a shell script of this machine's programs on the root, which is $ROOT; returns what they printed."""
        return self.must("sh", "-ec", script, last=OUTSIDE)

    def has(self, name: str) -> bool:
        """Return whether there is a file, a folder or a symbolic link of this name inside."""
        return self.run("sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', "sh", name).returncode == 0

    def states(self) -> Mapping[str, str]:
        """Return dpkg's word, such as installed, for each package that it knows something of."""
        lines = self.must("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n").splitlines()
        return dict(line.split() for line in lines)


def pristine() -> Path:
    """Return the untouched root, made now if it is not in the cache; of several test processes one makes it."""
    require_root()
    require_program("mmdebstrap", package="mmdebstrap")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fencebus"
    cache.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(repr((SUITE, BUILD)).encode()).hexdigest()[:12]
    root = cache / f"{SUITE}-{recipe}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            _make(root)
    return root


def _make(root: Path) -> None:
    made = root.with_name(f"{root.name}.{os.getpid()}")
    mirror = os.environ.get("FENCEBUS_MIRROR")
    patience = f'--aptopt=Acquire::Retries "{RETRIES}"'
    command = ["mmdebstrap", *BUILD, patience, SUITE, str(made), *([mirror] if mirror else [])]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280)
        if done.returncode:
            _say_why_not(done.stderr.strip().splitlines(), mirror)
        made.rename(root)
    except subprocess.TimeoutExpired:
        _say_why_not(["not ready within 280 s"], mirror)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _say_why_not(said: list[str], mirror: str | None) -> NoReturn:
    where = mirror or "the mirror that mmdebstrap takes by itself"
    errors = [line for line in said if line.startswith(("E:", "W:"))] or said[-3:]
    remedy = f"{where} has to answer (another one: FENCEBUS_MIRROR=http://...); it is needed once, then kept"
    missing(f"a fresh Debian {SUITE} ({'; '.join(errors[:3])})", remedy)
