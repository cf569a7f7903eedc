"""python -m tests.soak SECONDS [SEED]: a siege as long as one likes; exit status 1 if a rule was broken."""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import libvirt

from tests.libvirtd import running_libvirtd
from tests.soak.siege import besieged


def main(seconds: float, seed: int) -> int:
    """Run one siege and print what came of it."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with tempfile.TemporaryDirectory() as folder, running_libvirtd() as libvirtd:
        with besieged(libvirtd, Path(folder), seed) as siege:
            siege.last(seconds)
        print(siege.tally.table())
        reasons = Counter(re.findall(r"action=(\w+) .* ok=no reason=(\S+)", siege.daemon.log))
        print(*(f"{action:8}{reason:22}{count:5}" for (action, reason), count in sorted(reasons.items())), sep="\n")
        if siege.tally.violations:
            print("\n".join(siege.tally.violations))
            print(siege.daemon.log[-20000:])
    return 1 if siege.tally.violations else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
