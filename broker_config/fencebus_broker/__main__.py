"""Decides whether the library of the command line is installed, before anything of it is imported."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> int:
    """Run fencebus_broker and return its exit status; say how to install what is missing, instead of a traceback."""
    if find_spec("click") is None:
        sys.stderr.write("fencebus_broker: not installed: click; pip install 'fencebus[broker]'\n")
        return 1
    from fencebus_broker.program import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
