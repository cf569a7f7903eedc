"""The guests' file system, unpacked by somebody else's program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.components import require_file
from tests.guests.cpio import Archive


def test_busybox_unpacks_what_was_packed(tmp_path: Path) -> None:
    archive = Archive()
    archive.add("usr/bin/tool", b"#!/bin/sh\n", 0o755, changed=86400)
    archive.add("usr/bin/tool", b"not twice")
    archive.link("usr/bin/alias", "tool")
    archive.folder("proc")
    busybox = require_file("/bin/busybox", "busybox-static")
    subprocess.run([busybox, "cpio", "-id"], input=archive.finished(), cwd=tmp_path, check=True, capture_output=True)
    tool = tmp_path / "usr/bin/tool"
    assert tool.read_bytes() == b"#!/bin/sh\n"
    assert tool.stat().st_mode & 0o777 == 0o755
    assert os.readlink(tmp_path / "usr/bin/alias") == "tool"
    assert (tmp_path / "proc").is_dir()


def test_two_archives_in_a_row_are_each_a_multiple_of_four_bytes() -> None:
    first = Archive()
    first.add("a", b"x")
    assert len(first.finished()) % 4 == 0
