"""A multicast request that several hosts hear: each C daemon answers it, ours answers for what is its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.components import require_program
from tests.interop.network import Network
from tests.interop.programs import KEY, Answer, Make, Plan, Site, Transport, client_program, daemon_of, run
from tests.interop.worlds import ALPHA, write_world

C, OURS = Make.C, Make.OURS
ON = (0, "Status: ON\n")


def ip(network: Network, *words: str) -> None:
    subprocess.run([*network.prefix, require_program("ip", "iproute2"), *words], check=True)


def connect(host: Network, guest: Network) -> None:
    """A cable from ``host0`` to ``guest0``, with an address at each end."""
    ip(host, "link", "add", "host0", "type", "veth", "peer", "name", "guest0", "netns", str(guest.pid))
    for network, end, address in ((host, "host0", "10.77.0.1/24"), (guest, "guest0", "10.77.0.2/24")):
        ip(network, "address", "add", address, "dev", end)
        ip(network, "link", "set", end, "up")


@contextmanager
def host_and_stranger(make: Make, folder: Path) -> Iterator[tuple[Site, Network]]:
    """A daemon, and a machine on its network that is none of its guests."""
    folder.mkdir()
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(KEY)
    plan = Plan((write_world(folder / "world.xml", (ALPHA,)),), Transport.MULTICAST, interface="host0")
    with Network() as host, Network() as guest:
        connect(host, guest)
        place = Site(host, folder, plan, make)
        with daemon_of(place):
            yield place, guest


def test_a_host_says_nothing_about_a_machine_of_another_host_to_a_guest_of_another_host(tmp_path: Path) -> None:
    answers: dict[tuple[Make, str], Answer] = {}
    log = ""
    for make in Make:
        with host_and_stranger(make, tmp_path / make.name) as (place, guest):
            client = [*guest.prefix, str(client_program(C, "fence_xvm")), "-k", str(place.folder / "key")]
            for name in ("alpha", "elsewhere"):
                answers[make, name] = run([*client, "-t", "2", "-r", "10", "-o", "status", "-n", name])
            log = place.log
    # Who asks about a machine that runs here is answered by both.
    assert answers[C, "alpha"].told == answers[OURS, "alpha"].told == ON
    # C's daemon says "off" of a machine that it has never heard of, before the right host can say anything.
    assert answers[C, "elsewhere"].status == 2
    assert answers[OURS, "elsewhere"].status == 1
    assert answers[OURS, "elsewhere"].seconds > 1.5
    assert "reason=not-local" in log
