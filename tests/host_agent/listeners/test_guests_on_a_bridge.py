"""Guests behind a real bridge, told apart by their MAC addresses: who is answered, and two that shoot each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from fencebus_host.callbacks import MOST_UNTAKEN
from fencebus_schemas.digest import digest64
from fencebus_schemas.handshake import CHALLENGE_LENGTH
from fencebus_schemas.model import Action
from fencebus_schemas.xvm import REPLY_FAILURE, REPLY_OFF, REPLY_SUCCESS
from tests.daemon_process import SECRET, VMS, DaemonProcess
from tests.namespaces import Neighbour, bridge, neighbour, own_network, run_ip
from tests.protocol_client import Conversation, Guest, PeerClosed, Reply, ask_tcp, connect, send_to_group, signed

HOST = "10.77.0.1"
GROUP = "225.0.0.12"
STRANGERS_MAC = "52:54:00:00:00:99"
ROUNDS = {"tcp": 20, "multicast": 20, "both": 10}


@dataclass(frozen=True, slots=True)
class Street:
    """A host with a bridge, its two guests, and somebody else's guest on the same link."""

    daemon: DaemonProcess
    node1: Neighbour
    node2: Neighbour
    stranger: Neighbour

    def multicast(self, who: Neighbour, action: Action, target: str = "", patience: float = 25.0) -> Reply:
        """What a machine hears when it asks the group; TimeoutError if nobody calls it."""
        return who.does(lambda: shout(who.address, self.daemon.port, action, target, patience))

    def host(self, action: Action, target: str = "") -> Reply:
        """What the host itself hears, over TCP."""
        return ask_tcp((HOST, self.daemon.port), signed(SECRET, action, target), SECRET)

    def state(self) -> dict[str, int]:
        """The VMs' states by name."""
        return self.host(Action.LIST).states()


def shout(address: str, port: int, action: Action, target: str = "", patience: float = 25.0) -> Reply:
    """One multicast exchange of whoever has ``address``."""
    with Guest(SECRET, GROUP, port, address) as guest:
        return guest.ask(guest.request(action, target), patience)


@contextmanager
def street(folder: Path, mode: str = "auto", rest: str = "") -> Iterator[Street]:
    """The host in a namespace of its own, the guests behind its bridge."""
    with own_network(), ExitStack() as houses:
        bridge("br77", f"{HOST}/24")
        macs = {**VMS, "stranger": STRANGERS_MAC}
        guests = [
            houses.enter_context(neighbour(name, "br77", f"10.77.0.{number}/24", mac))
            for number, (name, mac) in enumerate(macs.items(), 2)
        ]
        daemon = DaemonProcess(folder, rest=rest)
        common = f'key_file = "KEY"; port = "{daemon.port}";'
        daemon.listeners = (
            f'multicast {{ {common} interface = "br77"; local_guests_only = "{mode}"; }}\n'
            f'tcp {{ {common} address = "{HOST}"; }}'
        )
        daemon.configure()
        with daemon:
            yield Street(daemon.wait_ready(), *guests)


def test_by_default_a_stranger_is_answered_about_a_vm_that_lives_here_and_about_no_other(tmp_path: Path) -> None:
    with street(tmp_path) as place:
        assert place.multicast(place.node1, Action.STATUS, "node2").code == REPLY_SUCCESS
        assert place.multicast(place.stranger, Action.STATUS, "node2").code == REPLY_SUCCESS
        assert place.multicast(place.node1, Action.OFF, "node2").code == REPLY_SUCCESS
        assert len(place.daemon.says(rf"request=.* source={place.node1.address} via=multicast .* by='node1'")) == 2
        assert place.multicast(place.node1, Action.STATUS, "node2").code == REPLY_OFF
        for action, target in ((Action.STATUS, "node2"), (Action.OFF, "nobody"), (Action.LIST, "")):
            with pytest.raises(TimeoutError):
                place.multicast(place.stranger, action, target, patience=0.4)
        assert place.daemon.says("source=10.77.0.4 via=multicast reason=not-local: not a guest of this host")
        assert place.multicast(place.node1, Action.LIST).states() == {"node1": 1, "node2": 5}


def test_with_yes_a_stranger_is_never_answered(tmp_path: Path) -> None:
    with street(tmp_path, "yes") as place:
        with pytest.raises(TimeoutError):
            place.multicast(place.stranger, Action.OFF, "node2", patience=0.4)
        assert place.daemon.says("source=10.77.0.4 via=multicast reason=not-local")
        assert place.multicast(place.node1, Action.STATUS, "node2").code == REPLY_SUCCESS
        assert shout(HOST, place.daemon.port, Action.STATUS, "node2").code == REPLY_SUCCESS


def test_with_no_everybody_is_answered(tmp_path: Path) -> None:
    with street(tmp_path, "no") as place:
        assert place.multicast(place.stranger, Action.OFF, "node2").code == REPLY_SUCCESS
        assert place.multicast(place.stranger, Action.STATUS, "node2").code == REPLY_OFF
        assert place.multicast(place.stranger, Action.OFF, "nobody").code == REPLY_FAILURE


def test_who_names_ever_new_guests_takes_no_call_back_from_others(tmp_path: Path) -> None:
    def lie(port: int) -> None:
        for number in range(MOST_UNTAKEN + 64):
            nobody = f"10.77.0.{100 + number % 100}"
            datagram = signed(SECRET, Action.OFF, "node2", address=nobody, port=5000 + number)
            send_to_group(datagram, GROUP, port, "10.77.0.4")
            time.sleep(0.001)  # the kernel drops what comes faster than it is read

    with street(tmp_path, "no") as place:
        for _ in range(10):  # a daemon that gets no processor reads too few before they are forgotten
            place.stranger.does(partial(lie, place.daemon.port))
            if place.daemon.says("reason=crowded"):
                break
        assert place.node1.does(lambda: shout_until_heard(place.node1.address, place.daemon.port)) == REPLY_SUCCESS
        assert place.daemon.says("source=10.77.0.4 via=multicast reason=crowded")
        assert not place.daemon.says(f"source={place.node1.address} via=multicast reason=crowded")


def shout_until_heard(address: str, port: int) -> int:
    """As every client does: a datagram that the kernel had no room for is sent again."""
    with Guest(SECRET, GROUP, port, address) as guest:
        request = guest.request(Action.STATUS, "node2")
        for _ in range(5):
            with suppress(TimeoutError):
                return guest.ask(request, 1.0).code
    raise TimeoutError


def test_no_guest_is_called_back_at_the_hosts_own_address(tmp_path: Path) -> None:
    def lie(address: str) -> None:
        request = signed(SECRET, Action.OFF, "node2", address=address, port=place.daemon.port)
        with Guest(SECRET, GROUP, place.daemon.port, place.node1.address) as guest:
            guest.shout(request)

    with street(tmp_path) as place:
        for address in (HOST, "127.0.0.1"):
            place.node1.does(partial(lie, address))
        place.daemon.wait_for_line("reason=no-callback")
        assert place.daemon.says(f"source={place.node1.address} .*this host's own address")
        assert place.state()["node2"] == 1


def test_a_guests_address_decides_its_group(tmp_path: Path) -> None:
    rest = 'groups { group { name = "g"; ip = "10.77.0.2"; uuid = "node2"; } }'
    with street(tmp_path, rest=rest) as place:
        assert place.multicast(place.node2, Action.STATUS, "node2").code == 3
        assert place.multicast(place.node1, Action.STATUS, "node2").code == REPLY_SUCCESS


def test_a_bridge_that_is_made_anew_is_joined_again(tmp_path: Path) -> None:
    with street(tmp_path) as place:
        run_ip("link del br77")
        place.daemon.wait_for_line("there is no interface br77 (yet)")
        before = len(place.daemon.log)
        bridge("br77", f"{HOST}/24")
        run_ip("link set node1 master br77 up")
        place.daemon.wait_for_line("listener=multicast ready", after=before)
        assert place.multicast(place.node1, Action.STATUS, "node2").code == REPLY_SUCCESS


def _from_behind_a_router(place: Street, target: str) -> Reply:
    """What a guest hears whose address is on no link of the host; its datagram comes through node1."""
    run_ip(f"route add 10.99.0.0/24 via {place.node1.address}")
    place.node1.does(partial(run_ip, "addr add 10.99.0.5/32 dev lo"))

    def ask() -> Reply:
        with Guest(SECRET, GROUP, place.daemon.port, "10.99.0.5") as guest:
            send_to_group(guest.request(Action.STATUS, target), GROUP, place.daemon.port, place.node1.address)
            with guest.called() as peer:
                peer.handshake()
                return peer.reply()

    return place.node1.does(ask)


def test_a_guest_behind_a_router_is_answered_about_a_vm_that_lives_here(tmp_path: Path) -> None:
    with street(tmp_path) as place:
        assert _from_behind_a_router(place, "node2").code == REPLY_SUCCESS


def test_with_yes_a_guest_behind_a_router_is_not_answered(tmp_path: Path) -> None:
    with street(tmp_path, "yes") as place:
        with pytest.raises(PeerClosed, match="after 0 bytes"):
            _from_behind_a_router(place, "node2")
        assert place.daemon.says("source=10.99.0.5 via=multicast reason=not-local: .*unresolved")


# -- S16 ----------


def _shoot(peer: Conversation, together: threading.Barrier) -> Reply:
    """Prove the key at the same moment as the other: by then the daemon has the requests of both."""
    peer.send(bytes(CHALLENGE_LENGTH))
    peer.receive(CHALLENGE_LENGTH)
    challenge = peer.receive(CHALLENGE_LENGTH)
    together.wait(30)
    peer.send(digest64(SECRET.auth, SECRET.key, challenge))
    return peer.reply()


def _over_tcp(port: int, target: str, together: threading.Barrier) -> Reply:
    with connect((HOST, port), SECRET) as peer:
        peer.send(signed(SECRET, Action.OFF, target))
        return _shoot(peer, together)


def _over_multicast(address: str, port: int, target: str, together: threading.Barrier) -> Reply:
    with Guest(SECRET, GROUP, port, address) as guest:
        guest.shout(guest.request(Action.OFF, target))
        with guest.called() as peer:
            return _shoot(peer, together)


@pytest.mark.parametrize("wire", ROUNDS)
def test_of_two_guests_that_shoot_each_other_exactly_one_dies(tmp_path: Path, wire: str) -> None:
    with street(tmp_path) as place:
        port = place.daemon.port
        for number in range(ROUNDS[wire]):
            together = threading.Barrier(2)
            first = partial(_over_tcp, port, "node2", together)
            second = partial(_over_tcp, port, "node1", together)
            if wire != "tcp":
                second = partial(_over_multicast, place.node2.address, port, "node1", together)
            if wire == "multicast":
                first = partial(_over_multicast, place.node1.address, port, "node2", together)
            shots = [place.node1.begin(first), place.node2.begin(second)]
            codes = [shot.result(40).code for shot in shots]
            off = [name for name, state in place.state().items() if state != 1]
            assert sorted(codes) == [REPLY_SUCCESS, REPLY_FAILURE], (number, place.daemon.log[-3000:])
            assert off == [("node2", "node1")[codes.index(REPLY_SUCCESS)]]
            assert place.host(Action.ON, off[0]).code == REPLY_SUCCESS
            time.sleep(
                0.03
            )  # a life has begun when it is that much older: a request at once would be for the one before
