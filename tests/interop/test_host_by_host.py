"""Moving from C's daemon to ours one host at a time, on one multicast group, and back (docs/migration.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.components import require_file
from tests.interop.programs import KEY, Answer, Make, client_program, daemon_command, run
from tests.interop.worlds import SHUTOFF, Vm, write_world
from tests.namespaces import Neighbour, bridge, neighbour, own_network
from tests.server_process import ServerProcess

MACS = {"east1": "52:54:00:00:01:01", "west1": "52:54:00:00:02:01"}
"""The two guests that ask; each is a VM of the host that it is called after."""
STEPS = (
    (Make.C, Make.C),
    (Make.OURS, Make.C),
    (Make.OURS, Make.OURS),
    (Make.C, Make.OURS),
)
QUICKLY = ("-t", "2", "-r", "5")
EVERY_ACTION = ("status", "off", "on", "reboot")


@dataclass
class Host:
    """A machine with one configuration file, that C's daemon and ours read in turn."""

    name: str
    machine: Neighbour
    folder: Path
    vms: tuple[Vm, ...]
    daemon: ServerProcess = field(init=False)

    def prepare(self) -> None:
        """Write what the administrator of the C daemon has."""
        self.folder.mkdir()
        uri = write_world(self.folder / "world.xml", self.vms)
        for name, content in (
            ("key", KEY),
            (
                "fence_virt.conf",
                f'fence_virtd {{ listener = "multicast"; backend = "libvirt"; state_dir = "{self.folder}/state"; }}\n'
                f'listeners {{ multicast {{ key_file = "{self.folder}/key"; interface = "eth0"; }} }}\n'
                f'backends {{ libvirt {{ uri = "{uri}"; }} }}\n'.encode(),
            ),
        ):
            (self.folder / name).touch(mode=0o600)
            (self.folder / name).write_bytes(content)

    def start(self, make: Make) -> None:
        """Start one of the daemons on the file as it is."""
        argv = [
            *daemon_command(make),
            "-F",
            "-d0",
            "-f",
            str(self.folder / "fence_virt.conf"),
            "-p",
            str(self.folder / "pid"),
        ]
        self.daemon = ServerProcess(argv, self.folder / f"{make.name}.log")
        self.machine.does(self.daemon.start)
        if make is Make.OURS:
            self.daemon.wait_for_output("fence_virtd ready")
        else:
            table = f"/proc/{self.daemon.pid}/net/udp"
            self.daemon.wait_until(lambda: ":04CD " in Path(table).read_text())

    def stop(self) -> None:
        """End it; C's looks at signals only between two requests."""
        self.daemon.stop(grace=2.0)


@dataclass
class Town:
    """Two hosts and a guest of each on one network."""

    hosts: tuple[Host, Host]
    guests: tuple[Neighbour, Neighbour]
    key: Path

    @contextmanager
    def daemons(self, makes: tuple[Make, Make]) -> Iterator[None]:
        """The hosts' daemons, of these makes."""
        with ExitStack() as running:
            for host, make in zip(self.hosts, makes, strict=True):
                host.start(make)
                running.callback(host.stop)
            yield

    def begin(self, guest: Neighbour, client: Make, actions: Sequence[str], target: str) -> Future[list[Answer]]:
        """Calls of fence_xvm on a guest, one after the other."""
        program = [str(client_program(client, "fence_xvm")), "-k", str(self.key)]
        return guest.begin(lambda: [run([*program, "-o", each, "-n", target, *QUICKLY]) for each in actions])

    def ask(self, guest: Neighbour, client: Make, action: str, target: str) -> Answer:
        """One call of fence_xvm on a guest."""
        (answer,) = self.begin(guest, client, [action], target).result(30)
        return answer


def interface(name: str) -> str:
    return f"<interface type='network'><mac address='{MACS[name]}'/><source network='default'/></interface>"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    require_file("/usr/sbin/fence_virtd", "fence-virtd")
    with own_network(), ExitStack() as houses:
        bridge("br78", "10.78.0.1/24")

        def machine(name: str, number: int, mac: str) -> Neighbour:
            return houses.enter_context(neighbour(name, "br78", f"10.78.0.{number}/24", mac))

        hosts = (
            Host(
                "east", machine("east", 11, "52:54:00:00:00:11"), tmp_path / "east", (vm("east1"), Vm("east2", SHUTOFF))
            ),
            Host(
                "west", machine("west", 12, "52:54:00:00:00:12"), tmp_path / "west", (vm("west1"), Vm("west2", SHUTOFF))
            ),
        )
        for host in hosts:
            host.prepare()
        guests = (machine("east1", 21, MACS["east1"]), machine("west1", 22, MACS["west1"]))
        yield Town(hosts, guests, tmp_path / "east" / "key")


def vm(name: str) -> Vm:
    return Vm(name, devices=interface(name))


@pytest.mark.parametrize("makes", STEPS, ids=lambda makes: " and ".join(make.value for make in makes))
def test_at_every_step_guests_fence_what_is_there_and_nothing_succeeds_that_did_not_with_c(
    town: Town, makes: tuple[Make, Make]
) -> None:
    files = [(host.folder / "fence_virt.conf").read_bytes() for host in town.hosts]
    with town.daemons(makes):
        asked = [(guest, client) for client, guest in zip(Make, town.guests, strict=True)]
        # Never a success about what no host has: C's daemon fails there too, and a status is at most C's false OFF.
        # The guests ask beside each other, for that takes time.
        for about_nobody in [town.begin(guest, client, EVERY_ACTION, "nobody") for guest, client in asked]:
            status, *acts = (answer.status for answer in about_nobody.result(60))
            assert acts == [1, 1, 1], makes
            assert status in ({1, 2} if Make.C in makes else {1})
        for guest, client in asked:
            # With C on the group the first answer counts, and that may be the failure of the host without the VM.
            own, other = ("east2", "west2") if guest is town.guests[0] else ("west2", "east2")
            if Make.C not in makes:
                assert town.ask(guest, client, "on", own).status == 0, (client, own)
                assert town.ask(guest, client, "off", own).status == 0, (client, own)
            assert town.ask(guest, client, "status", other).status in {1, 2}, "nobody says ON of what is off"
        if makes == (Make.OURS, Make.OURS):
            # Without C no answer comes from the wrong host: the guest of each is answered by its owner or not at all.
            assert town.ask(town.guests[0], Make.C, "status", "east1").out == "Status: ON\n"
            assert town.ask(town.guests[1], Make.C, "status", "west1").out == "Status: ON\n"
            # And a fence of what lives on the other host is that host's to answer: one's own "unknown" comes later.
            for _ in range(3):
                assert town.ask(town.guests[0], Make.C, "reboot", "west1").status == 0
            assert town.ask(town.guests[0], Make.C, "off", "west1").status == 0
    assert [(host.folder / "fence_virt.conf").read_bytes() for host in town.hosts] == files


def test_a_host_goes_to_ours_and_back_with_its_file_and_its_key_untouched(town: Town) -> None:
    host, guest = town.hosts[0], town.guests[0]
    before = {path.name: (path.read_bytes(), path.stat().st_mode) for path in host.folder.iterdir() if path.is_file()}
    for make in (Make.C, Make.OURS, Make.C):
        host.start(make)
        assert town.ask(guest, Make.C, "status", "east1").out == "Status: ON\n"
        assert town.ask(guest, Make.OURS, "on", "east2").status == 0
        host.stop()
    after = {name: ((host.folder / name).read_bytes(), (host.folder / name).stat().st_mode) for name in before}
    assert after == before
