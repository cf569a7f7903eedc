"""Only regular files are read, and reading never waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fencebus_host.config.regular_file import is_absent, read_regular


def test_at_most_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    content, status = read_regular(path, 4)
    assert (content, status.st_size) == (b"abcd", 6)


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match="not a file"):
            read_regular(path, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_pipe_without_a_writer_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        read_regular(tmp_path / "pipe", 1)


def test_nothing_is_absent_and_a_link_to_nowhere_is_not(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    assert is_absent(tmp_path / "none")
    assert is_absent(tmp_path / "file" / "below")
    assert not is_absent(tmp_path / "link")
    assert not is_absent(tmp_path / "file")


def test_what_nobody_may_look_at_is_not_absent(tmp_path: Path) -> None:
    assert not is_absent(tmp_path / ("x" * 300))
