"""Serves one file over FUSE, and holds its writes on command: a disk whose storage does not answer.

    python3 held_disk_server.py FOLDER IMAGE [PID]

FOLDER is where the file system is mounted, in the mount namespace of process PID; IMAGE holds the first contents of
its only file, ``disk``.  On stdin: "hold", "release"; on stdout: "ready", "held" for the first write that is held.
End of stdin unmounts. It speaks the kernel's protocol (linux/fuse.h) itself, so that the tests need no FUSE library.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import time

CLONE_NEWNS = 0x00020000
MNT_DETACH = 2

IN = struct.Struct("IIQQIIII")  # len, opcode, unique, nodeid, uid, gid, pid, padding
OUT = struct.Struct("IiQ")  # len, error, unique
ATTR = struct.Struct("QQQQQQIIIIIIIIII")
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE = 1, 2, 3, 4, 14, 15, 16
STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, RELEASEDIR = 17, 18, 20, 25, 26, 27, 29
INTERRUPT, DESTROY, BATCH_FORGET = 36, 38, 42
SILENT = (FORGET, INTERRUPT, DESTROY, BATCH_FORGET)
EMPTY = (RELEASE, RELEASEDIR, FSYNC, FLUSH)
ROOT, DISK = 1, 2
CACHE_SECONDS = 3600

_libc = ctypes.CDLL(None, use_errno=True)


class HeldDisk:
    """The file, and the writes that wait."""

    def __init__(self, contents: bytes, fuse: int) -> None:
        self._data = bytearray(contents)
        self._fuse = fuse
        self._holding = False
        self._held: list[int] = []
        self._sizes: dict[int, int] = {}

    def command(self, word: str) -> None:
        """Obey one line from stdin."""
        self._holding = word == "hold"
        if not self._holding:
            for unique in self._held:
                self._answer(unique, self._written(self._sizes.pop(unique)))
            self._held.clear()

    def serve(self) -> None:
        """Answer one request of the kernel, or hold it."""
        request = os.read(self._fuse, 1 << 20)
        _, opcode, unique, node, *_ = IN.unpack_from(request)
        body = request[IN.size :]
        if opcode in SILENT:
            return
        if opcode == WRITE:
            self._write(unique, body)
            return
        answer = self._reply(opcode, node, body)
        if answer is None:
            self._fail(unique, errno.ENOENT if opcode == LOOKUP else errno.ENOSYS)
        else:
            self._answer(unique, answer)

    def _write(self, unique: int, body: bytes) -> None:
        _, offset, size = struct.unpack_from("QQI", body)
        self._data[offset : offset + size] = body[40 : 40 + size]
        if not self._holding:
            self._answer(unique, self._written(size))
            return
        self._sizes[unique] = size
        self._held.append(unique)
        if len(self._held) == 1:
            _say("held")

    def _reply(self, opcode: int, node: int, body: bytes) -> bytes | None:
        if opcode == LOOKUP:
            return self._entry() if body.rstrip(b"\0") == b"disk" else None
        if opcode in (GETATTR, SETATTR):
            return struct.pack("QII", CACHE_SECONDS, 0, 0) + self._attributes(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("QII", 0, 0, 0)
        if opcode == READ:
            _, offset, size = struct.unpack_from("QQI", body)
            return bytes(self._data[offset : offset + size])
        if opcode == INIT:
            # 7.31, readahead, no flags, background queue, largest write
            return struct.pack("IIIIHHIIHHI28x", 7, 31, 1 << 16, 0, 64, 48, 1 << 16, 1, 16, 0, 0)
        if opcode == STATFS:
            return struct.pack("QQQQQIIII24x", 1 << 20, 1 << 19, 1 << 19, 10, 5, 4096, 255, 4096, 0)
        return b"" if opcode in EMPTY else None

    def _entry(self) -> bytes:
        return struct.pack("QQQQII", DISK, 0, CACHE_SECONDS, CACHE_SECONDS, 0, 0) + self._attributes(DISK)

    def _attributes(self, node: int) -> bytes:
        now, size = int(time.time()), len(self._data) if node == DISK else 4096
        mode = 0o100600 if node == DISK else 0o040700
        return ATTR.pack(node, size, size // 512, now, now, now, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    @staticmethod
    def _written(size: int) -> bytes:
        return struct.pack("II", size, 0)

    def _answer(self, unique: int, body: bytes) -> None:
        os.write(self._fuse, OUT.pack(OUT.size + len(body), 0, unique) + body)

    def _fail(self, unique: int, number: int) -> None:
        os.write(self._fuse, OUT.pack(OUT.size, -number, unique))


def _say(word: str) -> None:
    os.write(1, word.encode() + b"\n")


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _join_namespace(pid: str) -> None:
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    _check(_libc.setns(fd, CLONE_NEWNS))
    os.close(fd)


def main() -> None:
    """Serve until stdin ends."""
    folder, image, *namespace = sys.argv[1:]
    with open(image, "rb") as file:
        contents = file.read()
    for pid in namespace:
        _join_namespace(pid)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    _check(_libc.mount(b"held", os.fsencode(folder), b"fuse", 0, options))
    disk = HeldDisk(contents, fuse)
    _say("ready")
    while True:
        ready, _, _ = select.select([0, fuse], [], [])
        if 0 in ready:
            words = os.read(0, 4096).decode()
            if not words:
                break
            disk.command(words.split()[-1])
        if fuse in ready:
            disk.serve()
    disk.command("release")
    _libc.umount2(os.fsencode(folder), MNT_DETACH)


if __name__ == "__main__":
    main()
