"""Boots a copy of this machine's files under a systemd of its own, in namespaces: units run there as on a host.

What is written stays in a layer of its own; every process ends with the context.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.components import CHECKOUT, missing, require_file, require_program, require_root

READY = 30.0
TARGET = "bare.target"
# $1 is the layer, $2 a folder that is seen inside as /mnt, $3 the checkout, which may lie in /tmp.
# The layer is volatile: what dpkg has written to the disk at once need not outlive this machine.
# man-db is told not to index the pages of this whole machine whenever dpkg brings one.
# The own hierarchy of systemd is the oldest, or the only one.
BOOT = f"""
layer=$1 shared=$2 checkout=$3
old=/sys/fs/cgroup/systemd
group=$([ -d $old ] && echo $old || echo /sys/fs/cgroup)/$(basename "$layer")-$$
mkdir "$group"
echo "$group" >"$layer/group"
echo $$ >"$group/cgroup.procs"
exec unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup sh -ec '
layer=$1 shared=$2 old=$3 checkout=$4 root=$1/root
mount --make-rprivate /
mount -t overlay -o "lowerdir=/,upperdir=$layer/above,workdir=$layer/work,volatile" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
if [ -d $old ]; then
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$shared" "$root/mnt"
mkdir -p "$root$checkout"
mount --bind "$checkout" "$root$checkout"
mount -o remount,bind,ro "$root$checkout"
ip link set lo up
cd "$root"
rm -rf etc/systemd/system/*.wants etc/fence_virt* var/lib/fencebus var/lib/man-db/auto-update
printf "[Unit]\\nDescription=Nothing\\nDefaultDependencies=no\\n" >etc/systemd/system/{TARGET}
export container=other
exec chroot "$root" /lib/systemd/systemd --system --unit={TARGET} --show-status=no --log-target=null
' sh "$layer" "$shared" "$old" "$checkout"
"""


@dataclass(frozen=True)
class Machine:
    """The booted machine, and its first process as seen from outside."""

    init: int

    def run(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program on it."""
        own = f"/proc/{self.init}"
        spaces = [f"--{name}={own}/ns/{file}" for name, file in (("mount", "mnt"), ("pid", "pid"), ("net", "net"))]
        enter = ["nsenter", *spaces, f"--root={own}/root", f"--wd={own}/root", "--"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*enter, *argv], env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=60
        )

    def must(self, *argv: str, stdin: str = "") -> str:
        """Run a program on it that has to succeed; returns what it printed."""
        done = self.run(*argv, stdin=stdin)
        assert done.returncode == 0, f"{argv}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def shows(self, unit: str, what: str) -> str:
        """One property of a unit."""
        return self.must("systemctl", "show", "--value", f"--property={what}", unit).strip()


@contextmanager
def booted(layer: Path, shared: Path) -> Iterator[Machine]:
    """The machine until the context ends.  Skips, or fails in CI, where no systemd can be booted."""
    require_root()
    require_file("/lib/systemd/systemd", package="systemd")
    require_program("nsenter", package="util-linux")
    for name in ("above", "work", "root"):
        (layer / name).mkdir(parents=True)
    with (layer / "output").open("wb") as output:
        argv = ["sh", "-ec", BOOT, "sh", str(layer), str(shared), str(CHECKOUT)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        yield Machine(_first_process(process, layer))
    finally:
        process.kill()
        process.wait(20)
        _remove_groups(layer)


def _first_process(process: subprocess.Popen[bytes], layer: Path) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    limit = time.monotonic() + READY
    while process.poll() is None and time.monotonic() < limit:
        found = children.read_text().split()
        if found and "running" in Machine(int(found[0])).run("systemctl", "is-system-running").stdout:
            return int(found[0])
        time.sleep(0.05)
    said = (layer / "output").read_text(errors="replace").strip()
    return missing(f"a systemd of one's own ({said or 'it does not become ready'})", "a kernel that lets root boot one")


def _remove_groups(layer: Path) -> None:
    group = layer / "group"
    if not group.exists():
        return
    top = Path(group.read_text().strip())
    limit = time.monotonic() + 5
    while top.exists() and time.monotonic() < limit:
        for folder in sorted((path for path in [top, *top.rglob("*")] if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):  # its processes are still about to go
                folder.rmdir()
