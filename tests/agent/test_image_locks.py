"""QEMU's locks on images, seen from another process: real locks on real files."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencebus_agent.disks import Outliving
from fencebus_agent.image_locks import locked, outlast, see_locked, still_locked

F_OFD_SETLK = 37


@contextmanager
def lock(image: Path, byte: int, kind: int = fcntl.F_RDLCK) -> Iterator[None]:
    """Hold one byte as QEMU does."""
    fd = os.open(image, os.O_RDWR)
    try:
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))
        yield
    finally:
        os.close(fd)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A small image."""
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1024))
    return path


@pytest.mark.parametrize("byte", (100, 101, 201, 203))
def test_a_byte_of_qemus_shows(image: Path, byte: int) -> None:
    with lock(image, byte):
        assert locked(str(image)) is True
    assert locked(str(image)) is False


def test_a_byte_of_somebody_elses_does_not(image: Path) -> None:
    with lock(image, 5):
        assert locked(str(image)) is False


def test_what_cannot_be_opened_cannot_be_seen(tmp_path: Path) -> None:
    assert locked(str(tmp_path / "none")) is None
    assert locked("volume pool/image") is None
    assert locked("/dev/null") is None


def test_an_image_that_vanishes_is_not_taken_for_released(image: Path) -> None:
    disks = Outliving((str(image),))
    with lock(image, 100):
        seen = see_locked(disks)
        assert seen.locked == (str(image),)
        image.unlink()
        assert still_locked(seen) == [str(image)]


def test_outlast_returns_when_the_last_lock_has_gone(image: Path) -> None:
    waiter = threading.Thread(target=outlast, args=(Outliving((str(image),), (str(image),)), lambda: True))
    with lock(image, 201):
        waiter.start()
        waiter.join(0.1)
        assert waiter.is_alive()
    waiter.join(30)
    assert not waiter.is_alive()
