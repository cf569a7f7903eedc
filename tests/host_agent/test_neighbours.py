"""Who stands behind an address, asked of the real kernel in a network namespace with a veth pair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from fencebus_host.neighbours import MOST_OWN, OWN_SECONDS, OwnAddresses, is_own_address, mac_addresses_of
from tests.components import require_program, require_root

NEAR_MAC, FAR_MAC = "52:54:00:aa:00:01", "52:54:00:aa:00:02"
QUESTION = """
import json, sys
from fencebus_host.neighbours import is_own_address, mac_addresses_of
print(json.dumps([[is_own_address(a), sorted(mac_addresses_of(a))] for a in sys.argv[1:]]))
"""


class Net(NamedTuple):
    """A host and its neighbour: two namespaces and the cable between them."""

    ip: Path
    near: str
    far: str

    def run(self, *arguments: str) -> str:
        """Run ip(8) here."""
        done = subprocess.run([self.ip, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def on_host(self, *arguments: str | Path) -> str:
        """Run a program on the near side."""
        return self.run("netns", "exec", self.near, *map(str, arguments))

    def ask(self, *addresses: str) -> list[tuple[bool, Sequence[str]]]:
        """(is it the host's own, its MACs) as the near side sees them."""
        said = json.loads(self.on_host(sys.executable, "-c", QUESTION, *addresses))
        return [(own, tuple(macs)) for own, macs in said]


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    """The near side has .1, .3 and ::1, the far side .2 and ::2; nobody has .9."""
    require_root()
    ip = require_program("ip", "iproute2")
    own = Net(ip, f"fbn{os.getpid()}", f"fbf{os.getpid()}")
    try:
        for name in (own.near, own.far):
            own.run("netns", "add", name)
        own.run("-n", own.near, "link", "add", "veth0", "address", NEAR_MAC, "type", "veth", "peer", "name", "veth1",
                "address", FAR_MAC, "netns", own.far)  # fmt: skip
        for name, link, last in ((own.near, "veth0", 1), (own.far, "veth1", 2)):
            own.run("-n", name, "address", "add", f"192.0.2.{last}/24", "broadcast", "192.0.2.255", "dev", link)
            own.run("-n", name, "address", "add", f"2001:db8::{last}/64", "dev", link, "nodad")
            own.run("-n", name, "link", "set", link, "up")
            own.run("-n", name, "link", "set", "lo", "up")
        own.run("-n", own.near, "address", "add", "192.0.2.3/24", "dev", "veth0")
        for address in ("192.0.2.2", "2001:db8::2"):
            assert any(_refuses(own, address) for _ in range(20)), "the link does not come up"
        _refuses(own, "192.0.2.9")
        yield own
    finally:
        for name in (own.near, own.far):
            subprocess.run([ip, "netns", "delete", name], capture_output=True)


def _refuses(own: Net, address: str) -> bool:
    """Connect, so that the kernel resolves the address; it has if the other side refuses."""
    program = f"import socket; socket.create_connection(({address!r}, 9), 0.3)"
    command = [str(own.ip), "netns", "exec", own.near, sys.executable, "-IS", "-c", program]
    return "ConnectionRefusedError" in subprocess.run(command, capture_output=True, text=True).stderr


def test_a_neighbour_is_known_by_its_mac(net: Net) -> None:
    assert net.ask("192.0.2.2", "2001:db8::2") == [(False, (FAR_MAC,))] * 2


def test_a_zone_is_no_part_of_the_address(net: Net) -> None:
    assert net.ask("2001:db8::2%veth0") == [(False, (FAR_MAC,))]


def test_who_does_not_answer_has_no_mac(net: Net) -> None:
    assert net.ask("192.0.2.9", "192.0.2.77", "198.51.100.1", "2001:db8:9::1") == [(False, ())] * 4


def test_an_entry_that_was_put_there_by_hand_counts_too(net: Net) -> None:
    net.run("-n", net.near, "neighbour", "add", "192.0.2.50", "lladdr", "52:54:00:AA:00:50", "dev", "veth0")
    assert net.ask("192.0.2.50") == [(False, ("52:54:00:aa:00:50",))]


def test_the_hosts_own_addresses_are_its_own_the_second_of_a_link_too(net: Net) -> None:
    own = net.ask("192.0.2.1", "192.0.2.3", "2001:db8::1", "127.0.0.1", "127.0.0.2", "::1")
    assert own == [(True, ())] * 6


def test_a_group_a_broadcast_and_no_address_at_all_are_nobodys(net: Net) -> None:
    asked = ("225.0.0.12", "ff05::3:1", "192.0.2.255", "255.255.255.255", "0.0.0.0", "::")
    assert [own for own, _ in net.ask(*asked)] == [False] * 6


def test_where_one_may_bind_to_every_address_the_neighbours_is_still_not_the_hosts(net: Net) -> None:
    # Clustered hosts like to set this, for addresses that move.
    net.on_host("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind")
    net.on_host("sh", "-c", "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind")
    asked = net.ask("192.0.2.2", "2001:db8::2", "192.0.2.1", "2001:db8::1")
    assert [own for own, _ in asked] == [False, False, True, True]


def test_many_neighbours_fill_more_than_one_message(net: Net) -> None:
    lines = "".join(f"neighbour add 192.0.2.{n} lladdr 52:54:00:bb:00:{n:02x} dev veth0\n" for n in range(60, 250))
    subprocess.run([net.ip, "-n", net.near, "-batch", "-"], input=lines, text=True, check=True, timeout=60)
    assert net.ask("192.0.2.249") == [(False, ("52:54:00:bb:00:f9",))]


@pytest.mark.parametrize("address", ("127.0.0.1", "::1"))
def test_this_machine_is_its_own(address: str) -> None:
    assert is_own_address(address)
    assert mac_addresses_of(address) == frozenset()


@pytest.mark.parametrize("word", ("", "nonsense", "192.0.2", "2001:db8::zz"))
def test_what_is_no_address_is_an_error(word: str) -> None:
    for ask in (is_own_address, mac_addresses_of):
        with pytest.raises(OSError, match="illegal IP address"):
            ask(word)


def test_an_address_of_this_host_is_asked_about_once_a_second_and_any_other_each_time() -> None:
    asked: list[str] = []
    now = 100.0

    def ask(address: str) -> bool:
        asked.append(address)
        return address == "10.0.0.1"

    own = OwnAddresses(ask, lambda: now)
    assert [own("10.0.0.1"), own("10.0.0.1"), own("10.0.0.2"), own("10.0.0.2")] == [True, True, False, False]
    assert asked == ["10.0.0.1", "10.0.0.2", "10.0.0.2"]
    now += OWN_SECONDS
    own("10.0.0.1")
    assert asked.count("10.0.0.1") == 2


def test_what_is_remembered_of_own_addresses_is_bounded() -> None:
    own = OwnAddresses(lambda _address: True, lambda: 0.0)
    for number in range(300):
        own(f"10.0.{number // 256}.{number % 256}")
    assert len(own) <= MOST_OWN + 1
