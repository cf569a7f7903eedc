"""IPv6, over TCP and multicast, between every pair of programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.components import require_program
from tests.interop.network import Network
from tests.interop.programs import KEY, Make, Plan, Site, Transport, daemon_of, site
from tests.interop.worlds import ALPHA, BETA, write_world

ON, OFF, DONE = (0, "Status: ON\n"), (2, "Status: OFF\n"), (0, "")


def add_link(network: Network) -> None:
    """A link with an IPv6 address that C's client asks from: it does not ask from ::1."""
    for words in (
        "link add v0 type veth peer name v1",
        "address add fd00:1::1/64 dev v0 nodad",
        "link set v0 up",
        "link set v1 up",
    ):
        subprocess.run([*network.prefix, require_program("ip", "iproute2"), *words.split()], check=True)


def play(place: Site, client: Make, *options: str) -> None:
    def ask(action: str) -> tuple[int, str]:
        return place.ask(client, *options, "-t", "5", "-o", action, "-n", "alpha").told

    assert [ask(action) for action in ("status", "off", "status", "on")] == [ON, DONE, OFF, DONE]
    assert "beta" in place.ask(client, *options, "-o", "list").out


@pytest.mark.parametrize("daemon", Make, ids=lambda make: f"{make.value} daemon")
def test_every_client_is_served_over_tcp(tmp_path: Path, daemon: Make) -> None:
    world = write_world(tmp_path / "world.xml", (ALPHA, BETA))
    plan = Plan((world,), Transport.TCP, 'family = "ipv6"; address = "::1";', address="::1")
    with site(daemon, plan, tmp_path / "site") as place:
        for client in Make:
            play(place, client)


@pytest.mark.parametrize("daemon", Make, ids=lambda make: f"{make.value} daemon")
def test_every_client_is_served_over_multicast(tmp_path: Path, daemon: Make) -> None:
    world = write_world(tmp_path / "world.xml", (ALPHA, BETA))
    plan = Plan((world,), Transport.MULTICAST, 'family = "ipv6"; address = "ff05::3:1";', interface="v0")
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_bytes(KEY)
    with Network() as network:
        add_link(network)
        place = Site(network, tmp_path, plan, daemon)
        with daemon_of(place):
            for client in Make:
                play(place, client, "-i", "ipv6")
