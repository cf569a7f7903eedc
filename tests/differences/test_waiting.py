"""Who waits for whom: where one silent, slow or busy peer holds up C's daemon, and nobody but itself in ours."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from fencebus_schemas.model import Action
from tests.differences.peers import addressed, last_word
from tests.interop.programs import Answer, Make, Plan, Site, Transport, both
from tests.interop.worlds import ALPHA, BETA, write_world
from tests.protocol_client import Secret, connect, send_to_group, signed
from tests.server_process import freeze

ON, OFF = (0, "Status: ON\n"), (2, "Status: OFF\n")
C, OURS = Make.C, Make.OURS


def plan_of(folder: Path, transport: Transport = Transport.TCP) -> Plan:
    return Plan((write_world(folder / "world.xml", (ALPHA, BETA)),), transport)


def silent_peers(place: Site, number: int, running: ExitStack) -> None:
    with addressed(place) as where:
        for _ in range(number):
            running.enter_context(socket.create_connection(where, 5))


def test_peers_that_connect_and_say_nothing_delay_nobody(tmp_path: Path) -> None:
    answers = {}
    with both(plan_of(tmp_path), tmp_path / "site") as sites, ExitStack() as running:
        for make, place in sites.items():
            silent_peers(place, 2 if make is C else 100, running)
            answer = place.act(C, "status", "alpha")
            assert answer.told == ON
            answers[make] = answer
    assert answers[C].seconds > 1.5
    assert answers[OURS].undisturbed < 0.5


def test_a_peer_that_stops_in_the_handshake_delays_nobody(tmp_path: Path) -> None:
    with both(plan_of(tmp_path), tmp_path / "site") as sites, ExitStack() as running:
        for place in sites.values():
            secret = Secret(place.plan.key)
            with addressed(place) as where:
                peer = running.enter_context(connect(where, secret))
                peer.send(signed(secret, Action.STATUS, "alpha"))
        # C's waits up to ten seconds for each step of a handshake; one is enough to see.
        assert sites[C].ask(C, "-t", "1", "-o", "status", "-n", "alpha").status == 1
        answer = sites[OURS].act(C, "status", "alpha")
        assert answer.told == ON
        assert answer.undisturbed < 0.5


def test_a_guest_that_cannot_be_called_back_delays_nobody(tmp_path: Path) -> None:
    answers = {}
    with both(plan_of(tmp_path, Transport.MULTICAST), tmp_path / "site") as sites:
        for make, place in sites.items():
            secret = Secret(place.plan.key)
            # A port that accepts nothing more: its queue is full, so that the daemon's connect hangs.
            with addressed(place), socket.socket() as full, ExitStack() as fillers:
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                port = full.getsockname()[1]
                for _ in range(3):
                    filler = fillers.enter_context(socket.socket())
                    filler.setblocking(False)
                    filler.connect_ex(("127.0.0.1", port))
                time.sleep(0.1)
                lost = signed(secret, Action.STATUS, "alpha", address="127.0.0.1", port=port)
                send_to_group(lost, "225.0.0.12", 1229, "127.0.0.1")
                time.sleep(0.05)
                answer = place.act(C, "status", "alpha")
                assert answer.told == ON
                answers[make] = answer
    assert answers[C].seconds > 3
    assert answers[OURS].undisturbed < 0.5


def test_a_request_never_waits_for_one_on_another_machine(tmp_path: Path) -> None:
    # The same with a kill that takes ten seconds: test_a_stopped_qemu_is_off_within_the_deadline_and_holds_up_nobody.
    with both(plan_of(tmp_path), tmp_path / "site") as sites, ThreadPoolExecutor(1) as pool:

        def asked_meanwhile(place: Site) -> Answer:
            rebooted = pool.submit(place.act, C, "reboot", "alpha")
            time.sleep(0.1)
            answer = place.act(C, "status", "beta")
            assert answer.told == OFF
            assert rebooted.result().status == 0
            return answer

        assert asked_meanwhile(sites[OURS]).undisturbed < 0.5
        # On a busy machine the reboot may come second.
        assert any(asked_meanwhile(sites[C]).seconds > 0.5 for _ in range(5))


def test_a_reboot_does_not_sleep(tmp_path: Path) -> None:
    with both(plan_of(tmp_path), tmp_path / "site") as sites:
        answers = {make: place.act(C, "reboot", "alpha") for make, place in sites.items()}
    assert answers[C].seconds >= 1.0
    assert answers[OURS].undisturbed < 0.5


def test_nothing_is_done_for_a_requester_that_has_gone(tmp_path: Path) -> None:
    with both(plan_of(tmp_path), tmp_path / "site") as sites:
        for place in sites.values():
            secret = Secret(place.plan.key)
            with addressed(place) as where, connect(where, secret) as peer:
                peer.send(signed(secret, Action.OFF, "alpha"))
                # The daemon wakes and finds the last word of the handshake together with the end of the connection.
                word = last_word(peer)
                freeze(place.daemon.pid)
                peer.send(word)
                peer.hang_up()
            os.kill(place.daemon.pid, signal.SIGCONT)
            time.sleep(0.3)
        assert sites[C].act(C, "status", "alpha").told == OFF
        assert sites[OURS].act(C, "status", "alpha").told == ON
