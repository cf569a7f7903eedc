"""Makes the packages as `make package` does: by Debian's Python, whatever is first on PATH."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.components import CHECKOUT, require_file

DEBIANS_ALONE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""The environment in which packages are made and looked into."""
UNCOMPRESSED = {"DPKG_DEB_COMPRESSOR_TYPE": "none"}
"""They are unpacked a moment later."""


def made_packages(script: str, factory: pytest.TempPathFactory) -> Path:
    """The folder that `script` of packaging/ has filled: once for the run, whichever of its processes asks first."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    target = shared / Path(script).stem
    with (shared / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            unfinished = factory.mktemp(target.name)
            _make(script, unfinished)
            unfinished.rename(target)
    return target


def _make(script: str, target: Path) -> None:
    for module in ("click", "lark", "libvirt.py"):
        require_file(f"/usr/lib/python3/dist-packages/{module}", package=f"python3-{module.partition('.')[0]}")
    python = require_file("/usr/bin/python3", package="python3")
    command = [python, CHECKOUT / "packaging" / script, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=DEBIANS_ALONE | UNCOMPRESSED)
    assert done.returncode == 0, done.stdout + done.stderr
