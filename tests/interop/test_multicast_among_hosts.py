"""Two hosts that know each other hear one guest's multicast request, and what it asks for is done once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.interop.bus_site import BUS_KEY
from tests.interop.programs import KEY, Make
from tests.interop.test_host_by_host import MACS, Host, Town, vm
from tests.interop.worlds import write_world
from tests.namespaces import bridge, neighbour, own_network

pytestmark = pytest.mark.timeout(120)

ADDRESSES = {"east": "10.78.0.11", "west": "10.78.0.12"}
LINKS = ",".join(f"{name}@{address}" for name, address in ADDRESSES.items())
OURS = (Make.OURS, Make.OURS)
ON, OFF = "Status: ON\n", "Status: OFF\n"


@dataclass
class Ally(Host):
    """A host that fences together with the other one, over direct links."""

    def prepare(self) -> None:
        """The configuration that an administrator of both would write."""
        self.folder.mkdir()
        uri = write_world(self.folder / "world.xml", self.vms)
        listed = " ".join(f'host {{ name = "{name}"; }}' for name in ADDRESSES)
        text = (
            f'fence_virtd {{ listener = "multicast"; backend = "qmf"; host = "{self.name}"; '
            f'state_dir = "{self.folder}/state"; }}\n'
            f'listeners {{ multicast {{ key_file = "{self.folder}/key"; interface = "eth0"; }} }}\n'
            f'backends {{ libvirt {{ uri = "{uri}"; }} '
            f'qmf {{ url = "peers://{LINKS}"; key_file = "{self.folder}/bus.key"; }} }}\nhosts {{ {listed} }}\n'
        )
        for name, content in (("key", KEY), ("bus.key", BUS_KEY), ("fence_virt.conf", text.encode())):
            (self.folder / name).touch(mode=0o600)
            (self.folder / name).write_bytes(content)

    def verdicts(self, action: str) -> list[str]:
        """The reasons of its verdicts on an action."""
        return re.findall(rf"verdict .* action={action} .* reason=(\S+)", self.daemon.output)


@pytest.fixture
def allies(tmp_path: Path) -> Iterator[Town]:
    """Both, and a guest of each, on one network."""
    with own_network(), ExitStack() as houses:
        bridge("br78", "10.78.0.1/24")
        hosts = []
        for number, (name, address) in enumerate(ADDRESSES.items(), 11):
            machine = houses.enter_context(neighbour(name, "br78", f"{address}/24", f"52:54:00:00:00:{number}"))
            hosts.append(Ally(name, machine, tmp_path / name, (vm(f"{name}1"),)))
            hosts[-1].prepare()
        guests = [
            houses.enter_context(neighbour(name, "br78", f"10.78.0.{number}/24", MACS[name]))
            for number, name in enumerate(MACS, 21)
        ]
        yield Town((hosts[0], hosts[1]), (guests[0], guests[1]), tmp_path / "east" / "key")


def test_a_request_that_both_hosts_hear_is_carried_out_once_by_the_owner(allies: Town) -> None:
    guest, (east, west) = allies.guests[0], allies.hosts
    assert isinstance(east, Ally)
    assert isinstance(west, Ally)

    def shows(expected: str) -> bool:
        return allies.ask(guest, Make.C, "status", "west1").out == expected

    with allies.daemons(OURS):
        east.daemon.wait_for_output("connected with west")
        east.daemon.wait_until(lambda: shows(ON), what="knowing west1")
        for action, proven, done in (("off", "proven-off", OFF), ("on", "started", ON), ("reboot", "rebooted", ON)):
            assert allies.ask(guest, Make.C, action, "west1").status == 0
            east.daemon.wait_until(partial(shows, done), what=action)
            told = [*east.verdicts(action), *west.verdicts(action)]
            # Whoever was asked second has heard of the first one's course, and has begun none of its own (S7).
            assert proven in told
            assert set(told) <= {proven, "requester-gone"}, told
