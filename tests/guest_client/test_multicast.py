"""Finding the daemon by multicast, with call-backs from friend and foe, on the loopback interface."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time

import pytest

from fencebus_guest import addresses, multicast
from fencebus_guest.addresses import LocalAddress
from fencebus_guest.failures import UsageError
from fencebus_guest.request import group_of
from fencebus_guest.settings import Settings
from fencebus_schemas import xvm
from fencebus_schemas.handshake import challenge
from tests.components import missing
from tests.elapsed import Stopwatch
from tests.guest_client.conftest import KEY, Run, RunClient
from tests.guest_client.scripted_daemon import ScriptedDaemon

GROUP = "225.0.0.213"
LOOPBACK6 = "::1"
LOOPBACK = {
    socket.AF_INET: [LocalAddress(b"\x7f\0\0\1", 1), LocalAddress(b"\x7f\0\0\2", 1)],
    socket.AF_INET6: [LocalAddress(bytes(15) + b"\1", 1)],
}


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test leaves the loopback interface."""
    monkeypatch.setattr(multicast, "local_addresses", lambda family: LOOPBACK[family])


def ask(run_client: RunClient, key: str, port: int, *more: str, group: str = GROUP) -> Run:
    return run_client("fence_xvm", "-a", group, "-p", str(port), "-k", key, "-n", "vm1", *more)


@pytest.mark.parametrize(
    ("action", "answer", "status"), (("off", b"\0", 0), ("status", b"\2", 2), ("reboot", b"\1", 1))
)
def test_a_daemon_that_calls_back_is_believed(
    run_client: RunClient, key: str, tcp_port: int, action: str, answer: bytes, status: int
) -> None:
    with ScriptedDaemon(KEY, answer) as daemon:
        daemon.serve_multicast(GROUP, tcp_port)
        done = ask(run_client, key, tcp_port, "-o", action)
    assert done.status == status
    request = daemon.requests[0]
    assert (request.port, request.family, request.domain) == (tcp_port, xvm.FAMILY_IPV4, "vm1")


def test_ipv6_calls_back_alike(run_client: RunClient, key: str, tcp_port: int) -> None:
    if not addresses.local_addresses(socket.AF_INET6):
        missing("an IPv6 address", "switch IPv6 on: sysctl net.ipv6.conf.lo.disable_ipv6=0")
    # Loopback has no route to IPv6 groups; tests/interop sends to a real one, in a network of its own.
    with ScriptedDaemon(KEY, b"\0") as daemon:
        daemon.serve_multicast(LOOPBACK6, tcp_port)
        assert ask(run_client, key, tcp_port, "-o", "off", group=LOOPBACK6) == (0, "", "")
    assert (len(daemon.requests[0].address), daemon.requests[0].family) == (16, xvm.FAMILY_IPV6)


def test_a_lost_datagram_is_sent_again_byte_for_byte(
    run_client: RunClient, key: str, tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multicast, "local_addresses", lambda family: LOOPBACK[family][:1])
    with ScriptedDaemon(KEY, b"\0") as daemon:
        daemon.serve_multicast(GROUP, tcp_port, ignore=2)
        assert ask(run_client, key, tcp_port, "-o", "off", "-r", "2").status == 0
    assert len(daemon.datagrams) == 3
    assert len(set(daemon.datagrams)) == 1


def test_every_local_address_asks_with_the_same_seqno(run_client: RunClient, key: str, tcp_port: int) -> None:
    with ScriptedDaemon(KEY, b"\0") as daemon:
        daemon.serve_multicast(GROUP, tcp_port, ignore=1000)
        assert ask(run_client, key, tcp_port, "-o", "off", "-t", "1", "-r", "20").status == 1
    requests = [xvm.XvmRequest.unpack(datagram) for datagram in daemon.datagrams]
    assert {request.address for request in requests} == {b"\x7f\0\0\1", b"\x7f\0\0\2"}
    assert len({(request.seqno, request.random) for request in requests}) == 1


@pytest.mark.parametrize("retrans", ("1", "20", "300"))
def test_a_short_timeout_ends(run_client: RunClient, key: str, tcp_port: int, retrans: str) -> None:
    watch = Stopwatch()
    done = ask(run_client, key, tcp_port, "-o", "off", "-t", "1", "-r", retrans)
    assert watch.seconds > 0.9
    assert watch.undisturbed < 1.6
    assert (done.status, done.output) == (1, "")
    assert done.errors.startswith("Operation failed\nfence_xvm: Timed out waiting for response: no answer on")


class Intruder(threading.Thread):
    """Connects to the call-back port before the daemon does: silent, leaving, babbling, or with a wrong proof."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.connections: list[socket.socket] = []

    def run(self) -> None:
        for behaviour in (b"", None, b"x" * 64, b"babble" * 100):
            connection = self._connect()
            if behaviour is None:
                connection.close()
            elif behaviour:
                connection.sendall(behaviour)

    def _connect(self) -> socket.socket:
        for _ in range(1500):
            try:
                self.connections.append(socket.create_connection(("127.0.0.1", self.port), timeout=30))
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return self.connections[-1]
        raise TimeoutError

    def finish(self) -> None:
        self.join()
        for connection in self.connections:
            connection.close()


def test_connections_without_the_key_do_not_end_the_wait(run_client: RunClient, key: str, tcp_port: int) -> None:
    intruder = Intruder(tcp_port)
    with ScriptedDaemon(KEY, b"\0") as daemon:
        daemon.serve_multicast(GROUP, tcp_port, ignore=5)
        intruder.start()
        done = ask(run_client, key, tcp_port, "-o", "off", "-r", "3", "-t", "10")
        intruder.finish()
    assert done == (0, "", "")


def test_an_intruder_alone_leads_to_a_failure_that_names_it(run_client: RunClient, key: str, tcp_port: int) -> None:
    intruder = Intruder(tcp_port)
    intruder.start()
    done = ask(run_client, key, tcp_port, "-o", "off", "-t", "1")
    intruder.finish()
    assert done.status == 1
    assert "nobody with our key answered" in done.errors
    assert "last: 127.0.0.1: " in done.errors


def test_too_many_silent_connections_push_each_other_out(monkeypatch: pytest.MonkeyPatch, tcp_port: int) -> None:
    monkeypatch.setattr(multicast, "MAX_CANDIDATES", 1)
    listener = multicast.open_listener(socket.AF_INET, tcp_port)
    callbacks = multicast.Callbacks(listener, lambda: challenge(KEY, 2, bytes(64)))
    silent = [socket.create_connection(("127.0.0.1", tcp_port)) for _ in range(3)]
    assert callbacks.wait(0.3) is None
    assert callbacks.refusals == ["127.0.0.1: it proved nothing"] * 2
    callbacks.close()
    for connection in silent:
        connection.close()


def test_a_daemon_with_another_key_is_a_failure_that_says_so(run_client: RunClient, key: str, tcp_port: int) -> None:
    with ScriptedDaemon(b"another", b"\0", minimum=0) as daemon:
        daemon.serve_multicast(GROUP, tcp_port)
        done = ask(run_client, key, tcp_port, "-o", "off", "-t", "1", "-c", "none")
    assert done.status == 1
    assert daemon.requests == []
    assert "nobody with our key answered" in done.errors
    assert "compare " in done.errors


def test_without_authentication_the_first_call_back_counts(run_client: RunClient, key: str, tcp_port: int) -> None:
    with ScriptedDaemon(b"", b"\0", auth=0, minimum=0) as daemon:
        daemon.serve_multicast(GROUP, tcp_port)
        assert ask(run_client, key, tcp_port, "-o", "off", "-c", "none", "-C", "none").status == 0


def test_a_daemon_that_dies_after_the_handshake_is_a_failure(run_client: RunClient, key: str, tcp_port: int) -> None:
    with ScriptedDaemon(KEY, b"") as daemon:
        daemon.serve_multicast(GROUP, tcp_port)
        done = ask(run_client, key, tcp_port, "-o", "off")
    assert done.status == 1
    assert "called back gave no result" in done.errors


def test_a_taken_port_is_waited_for_and_then_exits_255(run_client: RunClient, key: str, tcp_port: int) -> None:
    with socket.create_server(("0.0.0.0", tcp_port)):
        watch = Stopwatch()
        done = ask(run_client, key, tcp_port, "-o", "off", "-t", "1", "-r", "3")
    assert watch.seconds > 0.5
    assert watch.undisturbed < 1.5
    assert done.status == 255
    assert done.errors.startswith("Unknown response (-1)\n")
    assert f"cannot listen on TCP port {tcp_port}" in done.errors


def test_a_machine_that_cannot_send_says_why(
    run_client: RunClient, key: str, tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr(multicast, "send_datagram", refuse)
    assert "Network is unreachable" in ask(run_client, key, tcp_port, "-o", "off", "-t", "1").errors
    monkeypatch.setattr(multicast, "local_addresses", refuse)
    assert "has no address" in ask(run_client, key, tcp_port, "-o", "off", "-t", "1").errors


def test_a_unicast_address_may_stand_for_the_group(tcp_port: int) -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as receiver:
            receiver.bind((host, tcp_port))
            source = LocalAddress(socket.inet_pton(family, host), socket.if_nametoindex("lo"))
            multicast.send_datagram(host, tcp_port, source, b"request")
            assert select.select([receiver], [], [], 5)[0]
            assert receiver.recv(100) == b"request"


@pytest.mark.parametrize(
    ("family", "address", "expected"),
    (
        ("auto", "", (2, "225.0.0.12")),
        ("ipv4", "", (2, "225.0.0.12")),
        ("ipv6", "", (10, "ff05::3:1")),
        ("auto", "ff05::9", (10, "ff05::9")),
        ("ipv4", "225.0.0.9", (2, "225.0.0.9")),
        ("ipv6", "225.0.0.9", None),
        ("ipv4", "ff05::9", None),
        ("auto", "225.0.0", None),
        ("auto", "group.example", None),
    ),
)
def test_family_and_group_belong_together(family: str, address: str, expected: tuple[int, str] | None) -> None:
    settings = Settings()
    settings.ip_family, settings.multicast_address = family, address
    if expected is None:
        with pytest.raises(UsageError):
            group_of(settings)
    else:
        assert group_of(settings) == expected
