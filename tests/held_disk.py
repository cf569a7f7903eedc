"""A disk for guests whose writes hang on command, and the boot sector of a guest that writes to it for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.components import require_file

SERVER = Path(__file__).with_name("held_disk_server.py")
SIZE = 1 << 20

# xor ax,ax; mov es,ax; again: mov ax,0x0301; mov cx,2; mov dx,0x80; mov bx,0x7e00; int 0x13; jmp again
_WRITES_FOR_EVER = bytes.fromhex("31c0 8ec0 b80103 b90200 ba8000 bb007e cd13 ebf0")


def boot_image() -> bytes:
    """A disk whose boot sector writes its second sector, again and again."""
    return (_WRITES_FOR_EVER.ljust(510, b"\0") + b"\x55\xaa").ljust(SIZE, b"\0")


class HeldDisk:
    """The disk, as a context manager.  ``namespace`` is a process in whose mount namespace it appears, at ``path``."""

    def __init__(self, folder: Path, namespace: int) -> None:
        require_file("/dev/fuse", "fuse3")
        self._mount, self._image, self._namespace = folder / "held", folder / "held.img", namespace
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> Path:
        """The disk's file."""
        return self._mount / "disk"

    def __enter__(self) -> HeldDisk:
        self._mount.mkdir()
        self._image.write_bytes(boot_image())
        argv = [sys.executable, "-IS", str(SERVER), str(self._mount), str(self._image), str(self._namespace)]
        self._server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._await("ready")
        return self

    def __exit__(self, *_: object) -> None:
        server = self._running
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.close()
        server.wait(60)
        server.stdout.close()

    def hold(self) -> None:
        """Hold every write from now on; return once one is held."""
        self._tell("hold")
        self._await("held")

    def release(self) -> None:
        """Let every write go."""
        self._tell("release")

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._server is not None
        return self._server

    def _tell(self, word: str) -> None:
        assert self._running.stdin is not None
        self._running.stdin.write(word.encode() + b"\n")

    def _await(self, word: str) -> None:
        assert self._running.stdout is not None
        line = self._running.stdout.readline().decode().strip()
        assert line == word, f"the disk's server said {line!r}"
