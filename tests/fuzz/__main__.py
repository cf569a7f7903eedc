"""Hostile bytes for every decoder, as long as one likes: `python -m tests.fuzz --seconds 60 [TARGET...]`."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.running import JOBS, fuzz_all
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz; returns 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--jobs", type=int, default=JOBS, help="targets at a time")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of: {', '.join(TARGETS)}")
    asked = parser.parse_args()
    unknown = sorted(set(asked.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    broken = 0
    for finding in fuzz_all(asked.targets or TARGETS, asked.seconds, asked.jobs):
        print(finding if not finding.status else f"{finding}\n{finding.output}", flush=True)
        broken += finding.status != 0
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
