"""Decides whether the daemon's libraries are installed, before anything of it is imported; then has it imported and
run.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec

LIBRARIES = ("lark", "libvirt")
NOT_INSTALLED = 1


def main() -> int:
    """Start fence_virtd and return its exit status; say how to install what is missing, instead of a traceback."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"fence_virtd: not installed: {', '.join(missing)}; on a host: pip install 'fencebus[host]'\n")
        return NOT_INSTALLED
    # Modules stay.  To look through them for garbage while they grow takes a tenth of the start, and to do it again
    # later would hold up a request.
    gc.disable()
    from fencebus_host import daemon

    gc.freeze()
    gc.enable()
    return daemon.main()
