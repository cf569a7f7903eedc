"""Converts QEMU's locks on its images into an answer to: does anything still hold this image open?

QEMU locks bytes of its images through open-file-description locks (its block/file-posix.c: permissions from byte 100,
what it does not share from byte 200).  Such a lock ends with the last reference to the open file, and a write under
way in io_uring is such a reference; so the lock outlives the process exactly as long as the write does.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from fencebus_agent.disks import Outliving

F_OFD_GETLK = 36  # linux/fcntl.h; the module fcntl of Python 3.11 does not name it
PATIENCE = 0.5  # seconds
POLL = 0.01  # seconds between two looks at the locks: there is nothing to wait on
FIRST_BYTE, LAST_BYTE = 100, 263
_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid


def see_locked(disks: Outliving) -> Outliving:
    """Note which images are seen to be locked now, while the VM runs; what takes longer than PATIENCE is not seen.

    The kill waits for this, and an image on a server that is dead blocks whoever opens it.
    """
    if not disks.images:
        return disks
    seen: list[str] = []
    looker = threading.Thread(target=_look_at, args=(disks.images, seen), name="image-locks", daemon=True)
    looker.start()
    looker.join(PATIENCE)
    return replace(disks, locked=tuple(seen))


def _look_at(images: Sequence[str], seen: list[str]) -> None:
    seen.extend(image for image in images if locked(image) is True)


def still_locked(disks: Outliving) -> list[str]:
    """The images whose lock was seen before and has not been seen to end."""
    return [image for image in disks.locked if locked(image) is not False]


def outlast(disks: Outliving, wanted: Callable[[], bool]) -> None:
    """Return when every lock that was seen before has ended, or nobody wants to know any more.

    Blocks, without a limit: give it a thread of its own.  A lock may be held for ever by a life that came after.
    """
    while still_locked(disks) and wanted():
        time.sleep(POLL)


def locked(image: str) -> bool | None:
    """Say whether anybody holds one of QEMU's locks on the image; ``None`` if that cannot be seen.

    May block on a file system whose server is dead.
    """
    try:
        fd = os.open(image, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _probe(fd)
    except OSError:  # a file system without such locks
        return None
    finally:
        os.close(fd)


def _probe(fd: int) -> bool | None:
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        return None
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, FIRST_BYTE, LAST_BYTE - FIRST_BYTE + 1, 0)
    answer = _FLOCK.unpack(fcntl.fcntl(fd, F_OFD_GETLK, question))
    return bool(answer[0] != fcntl.F_UNLCK)
