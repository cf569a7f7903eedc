"""Decides whether fence_virtctl's libraries are installed, before anything of them is imported."""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec

LIBRARIES = ("click", "lark", "libvirt", "rich")


def main() -> int:
    """Run fence_virtctl and return its exit status; say how to install what is missing, instead of a traceback."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        sys.stderr.write(f"fence_virtctl: not installed: {names}; on a host: pip install 'fencebus[host]'\n")
        return 1
    from fencebus_host.ctl.program import run

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's bytes that are no text are shown all the same
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
