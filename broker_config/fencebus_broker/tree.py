"""Decides when rendered files may be written: never over others unless told so; private ones for their owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fencebus_schemas.errors import FencebusError

PRIVATE, PUBLIC = 0o600, 0o644


class InTheWay(FencebusError):
    """Files that are there already, with another content.  Nothing was written."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(tuple(paths))
        self.paths = tuple(paths)

    def __str__(self) -> str:
        listed = "\n".join(f"  {path}" for path in self.paths)
        return f"there already, with another content (--replace writes over them):\n{listed}"


@dataclass(frozen=True, slots=True)
class File:
    """One file to be written; ``path`` below the folder."""

    path: str
    content: bytes
    private: bool = False

    @classmethod
    def of(cls, path: str, lines: Iterable[str], private: bool = False) -> File:
        """A file of lines."""
        return cls(path, "".join(f"{line}\n" for line in lines).encode("utf-8"), private)


def write(folder: Path, files: Iterable[File], replace: bool) -> tuple[Path, ...]:
    """Write the files; returns those that were not there as they are now.  Raises InTheWay, then none was written."""
    wanted = {folder / file.path: file for file in files}
    changed = {path: file for path, file in wanted.items() if not _is(path, file.content)}
    there = [path for path in changed if os.path.lexists(path)]
    if there and not replace:
        raise InTheWay(there)
    for path, file in changed.items():
        _put(path, file.content, PRIVATE if file.private else PUBLIC)
    return tuple(changed)


def write_private(path: Path, content: bytes) -> None:
    """Write a secret; it is never readable by others, not even for a moment."""
    _put(path, content, PRIVATE)


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _put(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)
