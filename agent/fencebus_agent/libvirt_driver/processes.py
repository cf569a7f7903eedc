"""Decides where the process of a libvirt domain is found: by the pid file that libvirt writes, else by its UUID in
/proc.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fencebus_agent.process_watch import Held, hold, hold_all
from fencebus_schemas.model import Uuid

SYSTEM_SOCKET = "/run/libvirt/libvirt-sock"


class ProcessFinder:
    """Finds the QEMU processes of this machine.  pid_folder: where libvirt keeps NAME.pid."""

    def __init__(self, pid_folder: Path) -> None:
        self._folder = pid_folder

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
    socket = parse_qs(parts.query).get("socket", [SYSTEM_SOCKET])[0]
    return ProcessFinder(pid_folder or Path(socket).parent / "qemu")
