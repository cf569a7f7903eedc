"""Decides where the process of a libvirt domain is found: by the pid file that libvirt writes, else by its UUID in
/proc.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from urllib.parse import parse_qs, urlsplit

from fencebus_agent import process_table
from fencebus_agent.process_watch import Held, has_ended, hold, hold_all
from fencebus_schemas.model import Uuid

SYSTEM_SOCKET = "/run/libvirt/libvirt-sock"
PROBE_SECONDS = 1.0
_UCRED = Struct("iII")  # struct ucred: pid, uid, gid


class ProcessFinder:
    """Finds the QEMU processes of this machine.

    pid_folder: where libvirt keeps NAME.pid.  libvirt_socket: where it listens.
    """

    def __init__(self, pid_folder: Path, libvirt_socket: Path) -> None:
        self._folder, self._socket = pid_folder, libvirt_socket

    @property
    def sees(self) -> bool:
        """True unless this daemon cannot see libvirt's processes: then finding none means nothing.

        /proc may hide other users' processes; in a process namespace of its own (a container) the kernel gives 0 for
        the pid of whoever listens outside.
        """
        return process_table.sees_others() and _listener_of(self._socket) != 0

    def may_hide(self, name: str) -> bool:
        """True if the domain's process may live though it was not found: unseen, or not to be known as a VM's."""
        try:
            pid = int((self._folder / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return not self.sees
        return not has_ended(pid) or not self.sees

    def running(self, vm: Uuid, name: str) -> tuple[Held, ...]:
        """The process of a running domain; several if the machine has several with this UUID and no pid file says
        which.
        """
        try:
            held = hold(int((self._folder / f"{name}.pid").read_text()))
        except (OSError, ValueError):
            return self.every_process(vm)
        if held is not None and held.qemu.vm == vm:
            return (held,)
        if held is not None:
            held.release()
        return self.every_process(vm)

    def every_process(self, vm: Uuid) -> tuple[Held, ...]:
        """Every process that carries this UUID, whatever libvirt thinks of it."""
        return tuple(hold_all(vm))

    def everything(self) -> tuple[Held, ...]:
        """Every process of this host that carries any VM's UUID."""
        return tuple(hold_all())


def release(processes: Sequence[Held]) -> int:
    """Give the pidfds back; say how many there were."""
    for held in processes:
        held.release()
    return len(processes)


def finder_for(uri: str, pid_folder: Path | None = None) -> ProcessFinder | None:
    """The finder for a URI; ``None`` where libvirt's word is the only witness: another host, another hypervisor
    (design 6.5).

    pid_folder: the administrator's word on where the pid files are; else the folder ``qemu`` beside libvirt's socket.
    """
    parts = urlsplit(uri)
    if parts.scheme.split("+")[0] != "qemu" or (parts.hostname or "localhost") not in ("localhost", "127.0.0.1", "::1"):
        return None
    listening = Path(parse_qs(parts.query).get("socket", [SYSTEM_SOCKET])[0])
    return ProcessFinder(pid_folder or listening.parent / "qemu", listening)


def _listener_of(path: Path) -> int | None:
    """The pid, in this process namespace, of who listens on a Unix socket: 0 if it has none; ``None``: nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return None
        pid: int = _UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        return pid
