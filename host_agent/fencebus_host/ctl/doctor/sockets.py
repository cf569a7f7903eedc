"""Turns the kernel's tables into who listens on which port."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Holder:
    """A socket on a port, and the program that has it ("" if that cannot be seen)."""

    inode: str
    pid: int | None
    program: str


def holders(protocol: str, port: int, proc: Path = Path("/proc")) -> tuple[Holder, ...]:
    """Who listens on ``port`` by ``tcp`` or ``udp``, over IPv4 or IPv6."""
    inodes = [
        inode
        for table in (protocol, f"{protocol}6")
        for inode in _inodes(proc / "self" / "net" / table, port, protocol == "tcp")
    ]
    return tuple(_holder(inode, proc) for inode in inodes)


def _inodes(table: Path, port: int, listening_only: bool) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [
        row[9]
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port and (not listening_only or row[3] == _LISTEN)
    ]


def _holder(inode: str, proc: Path) -> Holder:
    wanted = f"socket:[{inode}]"
    for folder in proc.iterdir():
        if folder.name.isdigit() and _has(folder / "fd", wanted):
            return Holder(inode, int(folder.name), _program(folder))
    return Holder(inode, None, "")


def _has(folder: Path, wanted: str) -> bool:
    try:
        return any(str(link.readlink()) == wanted for link in folder.iterdir())
    except OSError:
        return False


def _program(folder: Path) -> str:
    try:
        return (folder / "comm").read_text().strip()
    except OSError:
        return ""
