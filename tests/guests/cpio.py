"""Converts files to a cpio archive that the Linux kernel unpacks as its first file system."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

TRAILER = "TRAILER!!!"


@dataclass
class Archive:
    """An archive in the making, format "newc" (kernel: Documentation/driver-api/early-userspace/buffer-format.rst).

    Several archives one after the other are one file system to the kernel.
    """

    _data: bytearray = field(default_factory=bytearray)
    _names: set[str] = field(default_factory=set)

    def add(self, name: str, data: bytes, mode: int = 0o644, changed: int = 0) -> None:
        """A regular file, if it is not there yet; the folders above it are made.  ``changed`` is its time in seconds of
        the epoch.
        """
        if name in self._names:
            return
        self._folders_of(name)
        self._entry(name, stat.S_IFREG | mode, data, changed)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._folders_of(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def folder(self, name: str) -> None:
        """A folder, if it is not there yet."""
        if name and name not in self._names:
            self._folders_of(name)
            self._entry(name, stat.S_IFDIR | 0o755, b"")

    def finished(self) -> bytes:
        """The archive."""
        self._entry(TRAILER, 0, b"")
        return bytes(self._data)

    def _folders_of(self, name: str) -> None:
        self.folder(name.rpartition("/")[0])

    def _entry(self, name: str, mode: int, data: bytes, changed: int = 0) -> None:
        self._names.add(name)
        path = name.encode() + b"\0"
        # ino, mode, uid, gid, nlink, mtime, filesize, device (2), special device (2), namesize, check
        numbers = (len(self._names), mode, 0, 0, 1, changed, len(data), 0, 0, 0, 0, len(path), 0)
        self._data += b"070701" + b"".join(b"%08x" % number for number in numbers) + path
        self._pad()
        self._data += data
        self._pad()

    def _pad(self) -> None:
        self._data += b"\0" * (-len(self._data) % 4)
