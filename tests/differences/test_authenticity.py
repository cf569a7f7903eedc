"""Bytes that somebody else made, kept, cut or sent elsewhere: what C's daemon takes for a request and ours does not."""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fencebus_schemas.digest import HASH_NONE
from fencebus_schemas.handshake import CHALLENGE_LENGTH
from fencebus_schemas.model import Action
from fencebus_schemas.xvm import XvmRequest
from tests.differences.peers import addressed, inside
from tests.interop.programs import KEY, PORT, Make, Plan, Site, Transport, both, site
from tests.interop.worlds import ALPHA, BETA, write_world
from tests.protocol_client import Conversation, Guest, PeerClosed, Secret, ask_tcp, connect, signed

ON, OFF = (0, "Status: ON\n"), (2, "Status: OFF\n")
C, OURS = Make.C, Make.OURS
GROUP = "225.0.0.12"
SECRET = Secret(KEY)
UNPROVEN = Secret(KEY, auth=HASH_NONE)


def plan_of(folder: Path, transport: Transport = Transport.TCP, listener: str = "") -> Plan:
    return Plan((write_world(folder / "world.xml", (ALPHA, BETA)),), transport, listener)


def test_auth_and_hash_are_two_settings_on_tcp(tmp_path: Path) -> None:
    with both(plan_of(tmp_path, listener='hash = "sha256"; auth = "none";'), tmp_path / "site") as sites:

        def status(make: Make, digest: str, auth: str) -> int:
            return sites[make].ask(C, "-c", digest, "-C", auth, "-t", "1", "-o", "status", "-n", "alpha").status

        # C: an unsigned request is let in, though the file demands sha256; the handshake is still sha256's.
        assert [status(C, "none", "sha256"), status(OURS, "none", "sha256")] == [0, 1]
        assert status(C, "none", "none") != 0
        assert status(OURS, "none", "none") == 1
        assert status(OURS, "sha256", "none") == 0
        assert "auth" in sites[OURS].log
        assert "WARNING" in sites[OURS].log


def test_a_retransmission_gets_the_answer_of_the_first(tmp_path: Path) -> None:
    with both(plan_of(tmp_path), tmp_path / "site") as sites:
        for make, place in sites.items():
            off = signed(SECRET, Action.OFF, "alpha")
            with addressed(place) as where:
                assert ask_tcp(where, off, SECRET).code == 0
                assert place.act(C, "on", "alpha").status == 0
                if make is C:
                    with pytest.raises(PeerClosed):
                        ask_tcp(where, off, SECRET)
                else:
                    assert ask_tcp(where, off, SECRET).code == 0
            assert place.act(C, "status", "alpha").told == ON


def test_two_requests_with_the_same_sequence_number_are_two(tmp_path: Path) -> None:
    with both(plan_of(tmp_path), tmp_path / "site") as sites:
        for make, place in sites.items():
            first, second = (
                XvmRequest(Action.STATUS.value, "alpha", seqno=7, random=secrets.token_bytes(6)).sign(KEY, 2).pack()
                for _ in range(2)
            )
            with addressed(place) as where:
                assert ask_tcp(where, first, SECRET).code == 0
                if make is C:
                    with pytest.raises(PeerClosed):
                        ask_tcp(where, second, SECRET)
                else:
                    assert ask_tcp(where, second, SECRET).code == 0


@contextmanager
def guest_of(place: Site, secret: Secret) -> Iterator[Guest]:
    """A guest that waits for call-backs, in the network of a daemon."""
    with inside(place.network), Guest(secret, GROUP, PORT) as guest:
        yield guest


def restart(place: Site) -> None:
    place.daemon.stop(signal.SIGKILL)
    place.daemon.log.unlink()
    place.start()


def test_a_recorded_datagram_is_not_carried_out_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, Transport.MULTICAST, 'auth = "none";')
    with both(plan, tmp_path / "site") as sites, guest_of(sites[C], UNPROVEN) as one:
        with guest_of(sites[OURS], UNPROVEN) as other:
            guests = {C: one, OURS: other}
            recorded = {make: guest.request(Action.OFF, "alpha") for make, guest in guests.items()}
            for make, place in sites.items():
                with inside(place.network):
                    assert guests[make].ask(recorded[make]).code == 0
                assert place.ask(C, "-C", "none", "-o", "on", "-n", "alpha").status == 0
                restart(place)  # C's forgets after ten seconds, too
            with inside(sites[C].network):
                assert one.ask(recorded[C]).code == 0
            with inside(sites[OURS].network), pytest.raises(TimeoutError):
                other.ask(recorded[OURS], patience=0.5)
        assert sites[C].ask(C, "-C", "none", "-o", "status", "-n", "alpha").told == OFF
        assert sites[OURS].ask(C, "-C", "none", "-o", "status", "-n", "alpha").told == ON


def test_a_short_datagram_is_not_filled_up_with_the_one_before(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, Transport.MULTICAST, 'hash = "none"; auth = "none";')
    with both(plan, tmp_path / "site") as sites:
        for make, place in sites.items():
            with guest_of(place, Secret(b"", HASH_NONE, HASH_NONE)) as guest:
                whole = guest.request(Action.STATUS, "alpha")
                assert guest.ask(whole).code == 0
                # One byte: "off", and the rest as it lay in the daemon's buffer.
                guest.shout(bytes([Action.OFF.value]))
                if make is C:
                    with guest.called() as peer:
                        assert peer.reply().code == 0
                else:
                    with pytest.raises(TimeoutError):
                        guest.called(0.5)
        assert sites[C].ask(C, "-c", "none", "-C", "none", "-o", "status", "-n", "alpha").told == OFF
        assert sites[OURS].ask(C, "-c", "none", "-C", "none", "-o", "status", "-n", "alpha").told == ON
        assert "reason=length" in sites[OURS].log


def test_a_datagram_that_was_not_sent_to_the_group_is_not_taken(tmp_path: Path) -> None:
    with both(plan_of(tmp_path, Transport.MULTICAST), tmp_path / "site") as sites:
        for make, place in sites.items():
            with guest_of(place, SECRET) as guest, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(guest.request(Action.STATUS, "alpha"), ("127.0.0.1", PORT))
                if make is C:
                    with guest.called() as peer:
                        peer.handshake()
                        assert peer.reply().code == 0
                else:
                    with pytest.raises(TimeoutError):
                        guest.called(0.5)


def with_an_oracle(victim: Site, oracle: Site) -> bytes:
    """Have the victim's challenge answered by another connection, without a key; returns what the victim says then.

    The signed requests are such as anybody on the network can record.
    """
    with addressed(victim) as where:
        attacked = connect(where, SECRET)
        attacked.send(signed(SECRET, Action.OFF, "alpha") + secrets.token_bytes(CHALLENGE_LENGTH))
        attacked.receive(CHALLENGE_LENGTH)
        challenge = attacked.receive(CHALLENGE_LENGTH)
    with addressed(oracle) as where, connect(where, SECRET) as asked:
        asked.send(signed(SECRET, Action.STATUS, "alpha") + challenge)
        try:
            answer = asked.receive(CHALLENGE_LENGTH)
        except PeerClosed:
            answer = bytes(CHALLENGE_LENGTH)
    with attacked:
        return finish(attacked, answer)


def finish(attacked: Conversation, answer: bytes) -> bytes:
    attacked.send(answer)
    return attacked.rest()


def test_a_daemon_does_not_answer_its_own_challenge(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    with both(plan, tmp_path / "site") as sites, both(plan, tmp_path / "second") as others:
        # C's daemon serves one connection at a time, so it takes a second one with the same key to answer for it.
        assert with_an_oracle(sites[C], others[C]) == b"\0"
        assert sites[C].act(C, "status", "alpha").told == OFF
        assert with_an_oracle(sites[OURS], sites[OURS]) == b""
        assert sites[OURS].act(C, "status", "alpha").told == ON
        assert "reflection" in sites[OURS].log
        # What stays: another host that holds the key can be made to answer. The formula is C's.
        assert with_an_oracle(sites[OURS], others[OURS]) == b"\0"


def test_a_request_that_is_turned_away_leaves_a_line_with_source_and_reason(tmp_path: Path) -> None:
    wrong = Secret(b"somebody else's key")
    groups = 'groups { group { uuid = "beta"; ip = "127.0.0.1"; } }'
    plan = Plan((write_world(tmp_path / "world.xml", (ALPHA, BETA)),), groups=groups)
    logs = {}
    for make in Make:
        with site(make, plan, tmp_path / make.name) as place:
            with addressed(place) as where, pytest.raises(PeerClosed):
                ask_tcp(where, signed(wrong, Action.OFF, "alpha"), wrong)
            assert place.act(C, "off", "alpha").status == 3
            logs[make] = place.log
    assert "127.0.0.1" not in logs[C]
    assert "refused source=127.0.0.1 via=tcp reason=signature" in logs[OURS]
    assert "reason=denied" in logs[OURS]
