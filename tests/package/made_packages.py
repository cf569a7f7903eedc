"""Makes the packages as `make package` does: by Debian's Python, whatever is first on PATH."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.components import CHECKOUT, require_file

DEBIANS_ALONE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""The environment in which packages are made and looked into."""


def make_packages(script: str, target: Path) -> None:
    """Run `script` of packaging/, which fills the folder `target`."""
    for module in ("click", "lark", "libvirt.py"):
        require_file(f"/usr/lib/python3/dist-packages/{module}", package=f"python3-{module.partition('.')[0]}")
    python = require_file("/usr/bin/python3", package="python3")
    command = [python, CHECKOUT / "packaging" / script, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=DEBIANS_ALONE)
    assert done.returncode == 0, done.stdout + done.stderr
