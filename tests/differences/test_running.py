"""How the daemons are run: what a signal, a missing interface and a busy port do to C's and to ours."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.components import require_program
from tests.interop.programs import Make, Plan, Site, Transport, both
from tests.interop.worlds import ALPHA, write_world

ON = (0, "Status: ON\n")
C, OURS = Make.C, Make.OURS
NEW_KEY = b"the key of tomorrow".ljust(64, b".")


def plan_of(folder: Path, transport: Transport = Transport.TCP, interface: str = "lo") -> Plan:
    world = write_world(folder / "world.xml", (ALPHA,))
    return Plan((world,), transport, daemon='wait_for_init = "1";', interface=interface)


def in_network(place: Site, *words: str) -> None:
    subprocess.run([*place.network.prefix, require_program("ip", "iproute2"), *words], check=True)


def test_a_new_key_is_read_at_a_hangup(tmp_path: Path) -> None:
    with both(plan_of(tmp_path), tmp_path / "site") as sites:
        for make, place in sites.items():
            new = place.folder / "new"
            new.touch(mode=0o600)
            new.write_bytes(NEW_KEY)
            assert place.act(C, "status", "alpha").told == ON, (make, place.log)
            (place.folder / "key").write_bytes(NEW_KEY)
            place.daemon.send(signal.SIGHUP)
            if make is OURS:
                place.daemon.wait_until(lambda: "listener=tcp renewed" in sites[OURS].log)
                assert place.act(C, "status", "alpha").told == ON
            else:
                assert place.act(C, "status", "alpha").status == 1


def test_an_interface_that_comes_later_is_joined_then(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, Transport.MULTICAST, "late0")
    quick = ("-t", "1", "-r", "5", "-o", "status", "-n", "alpha")
    with both(plan, tmp_path / "site") as sites:
        # C's joins on the kernel's choice instead, and stays there for ever.
        assert sites[C].ask(C, *quick).told == ON
        assert sites[OURS].ask(C, *quick).status == 1
        assert "there is no interface late0 (yet)" in sites[OURS].log
        in_network(sites[OURS], "link", "add", "late0", "type", "veth", "peer", "name", "guest0")
        in_network(sites[OURS], "link", "set", "late0", "up")
        sites[OURS].daemon.wait_for_output("listener=multicast ready")
