"""What the clients tell the system's log."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.components import require_program
from tests.interop.programs import Make, Plan, both, run
from tests.interop.worlds import ALPHA, write_world

DEVICES = ("null", "urandom", "random")
# /dev, with a log of the test's own.
SCRIPT = f"""\
dev=$1; shift
for name in {" ".join(DEVICES)}; do mount --bind /dev/$name $dev/$name; done
mount --rbind $dev /dev
exec "$@"
"""


def test_the_log_says_what_was_done(tmp_path: Path) -> None:
    dev = tmp_path / "dev"
    dev.mkdir()
    for name in DEVICES:
        (dev / name).touch()
    unshare = [str(require_program("unshare", "util-linux")), "--mount", "sh", "-ec", SCRIPT, "sh", str(dev)]
    plan = Plan((write_world(tmp_path / "world.xml", (ALPHA,)),))
    lines = {}
    with both(plan, tmp_path / "site") as sites, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(dev / "log"))
        log.settimeout(30)
        for make, place in sites.items():
            assert run([*unshare, *place.command(make, "-o", "off", "-n", "alpha")]).status == 0
            lines[make] = log.recv(1024).decode()
    assert 'Domain "alpha" is ON' in lines[Make.C]
    assert "alpha" in lines[Make.OURS]
    assert "is ON" not in lines[Make.OURS]
