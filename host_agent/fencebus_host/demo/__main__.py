"""Runs the demonstrations one after the other.

Needs no privileges and touches nothing outside a temporary folder; ``make demo`` runs it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fencebus_host.demo import one_host, two_hosts


def main() -> int:
    """Show everything; returns 0 if every step ended as it must."""
    with tempfile.TemporaryDirectory(prefix="fencebus-demo-") as name:
        folders = [Path(name, part) for part in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        done = [one_host.show(folders[0]), two_hosts.show(folders[1])]
    print("All steps ended as they should; nothing is left running." if all(done) else "A step failed: see above.")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
