"""A real libvirtd with QEMU for tests: private files, tiny guests without firmware that boots anything, one for the
session.

Outside, its socket is ``FOLDER/run/libvirt/libvirt-sock`` and its pid files lie beside it, where a driver looks for
them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import libvirt

from tests.components import require_file, require_program, require_root
from tests.server_process import freeze

KEEPER = Path(__file__).with_name("libvirtd_keeper.py")
READY = 90.0  # seconds for the first answer: libvirtd asks every QEMU what it can do, 8 s on an idle machine

QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
stdio_handler = "file"
remember_owner = 0
namespaces = [ ]
"""
LIBVIRTD_CONF = """\
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
host_uuid = "{host_uuid}"
max_clients = 500
"""

GUEST = """\
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  {top}
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {devices}
  </devices>
</domain>
"""


def guest_xml(name: str, vm: str | None = None, devices: str = "", top: str = "") -> str:
    """The definition of a guest of 16 MB that runs the BIOS and nothing else."""
    emulator = require_program("qemu-system-x86_64", "qemu-system-x86")
    return GUEST.format(name=name, uuid=vm or uuid.uuid4(), emulator=emulator, devices=devices, top=top)


class Libvirtd:
    """One libvirtd and its guests; use it as a context manager.  ``admin`` is a connection of the test's own.

    ``prefix`` begins the command of its keeper, to run it elsewhere.
    """

    def __init__(self, folder: Path, prefix: Sequence[str | Path] = ()) -> None:
        self.folder = folder
        self._prefix = prefix
        self.socket = folder / "run" / "libvirt" / "libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self.pid = 0
        self._keeper: subprocess.Popen[bytes] | None = None
        self._admin: libvirt.virConnect | None = None

    def __enter__(self) -> Libvirtd:
        self._configure()
        self._keep()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None and keeper.stdout is not None:
            keeper.stdin.close()
            keeper.wait(60)
            keeper.stdout.close()

    def lose_power(self) -> None:
        """Whatever is left of libvirtd and its guests is ended, and libvirtd starts anew with what is on its disk.

        What it knew of running guests lies in memory alone.
        """
        self.__exit__()
        shutil.rmtree(self.socket.parent)
        self._keep()

    def _keep(self) -> None:
        argv = [*self._prefix, sys.executable, "-IS", str(KEEPER), str(self.folder)]
        self._keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.start()

    @property
    def admin(self) -> libvirt.virConnect:
        """A connection for the test's own errands, opened when it is needed, and anew after a restart."""
        if self._admin is None or not self._admin.isAlive():
            self._leave()
            self._admin = libvirt.open(self.uri)
        return self._admin

    def start(self) -> None:
        """Start libvirtd and wait for its first answer."""
        keeper = self._keeper
        assert keeper is not None
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.write(b"start\n")
        self.pid = int(keeper.stdout.readline())
        limit = time.monotonic() + READY
        while True:
            try:
                self.admin.listAllDomains()
            except libvirt.libvirtError:
                assert time.monotonic() < limit, self.log
                time.sleep(0.05)
            else:
                return

    @property
    def namespace(self) -> int:
        """A process in the mount namespace in which libvirtd and its guests live."""
        assert self._keeper is not None
        return self._keeper.pid

    def kill(self) -> None:
        """SIGKILL libvirtd; its guests run on."""
        os.kill(self.pid, signal.SIGKILL)
        while Path(f"/proc/{self.pid}").exists():
            time.sleep(0.01)
        (self.folder / "run" / "libvirtd.pid").unlink(missing_ok=True)

    def revive(self) -> None:
        """Start libvirtd if a test has left it dead."""
        state = Path(f"/proc/{self.pid}/cmdline")
        if not state.exists() or not state.read_bytes():
            self.start()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold libvirtd with SIGSTOP."""
        freeze(self.pid)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    @property
    def log(self) -> str:
        """What libvirtd wrote."""
        return (self.folder / "libvirtd.log").read_text(errors="replace")

    def run(self, name: str, devices: str = "", transient: bool = False) -> str:
        """Start a guest, and return its UUID."""
        vm = str(uuid.uuid4())
        xml = guest_xml(name, vm, devices)
        if transient:
            self.admin.createXML(xml)
        else:
            self.admin.defineXML(xml).create()
        return vm

    def lose(self, name: str) -> None:
        """Make libvirt give up a guest whose process lives, as it does 80 s after a kill that the kernel cannot
        finish.
        """
        self.kill()
        for suffix in ("pid", "xml"):
            (self.socket.parent / "qemu" / f"{name}.{suffix}").unlink()
        self.start()

    def qemu_pid(self, name: str) -> int:
        """The process of a running guest."""
        return int((self.socket.parent / "qemu" / f"{name}.pid").read_text())

    def discard(self, vm: str) -> None:
        """End and forget a guest, whatever has become of it."""
        with contextlib.suppress(libvirt.libvirtError):
            domain = self.admin.lookupByUUIDString(vm)
            with contextlib.suppress(libvirt.libvirtError):
                domain.managedSaveRemove()
            with contextlib.suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefine()

    def _leave(self) -> None:
        if self._admin is not None:
            with contextlib.suppress(libvirt.libvirtError):
                self._admin.close()
            self._admin = None

    def _configure(self) -> None:
        etc = self.folder / "etc"
        etc.mkdir(parents=True)
        (etc / "qemu.conf").write_text(QEMU_CONF)
        (etc / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(host_uuid=uuid.uuid4()))


@contextlib.contextmanager
def running_libvirtd() -> Iterator[Libvirtd]:
    """Run a libvirtd as long as the context lasts.  Skips, or fails in CI, where a component is missing."""
    require_root()
    require_program("libvirtd", "libvirt-daemon-system")
    require_file("/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so", "libvirt-daemon")
    require_program("qemu-system-x86_64", "qemu-system-x86")
    with (
        tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as folder,
        Libvirtd(Path(folder)) as daemon,
    ):
        yield daemon
