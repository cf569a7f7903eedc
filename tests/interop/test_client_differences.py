"""Where our client differs from C's on purpose: each test shows both. The reasons are in docs/differences.md."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_schemas import serialline, xvm
from tests.interop.network import Network
from tests.interop.programs import Answer, Make, Plan, client_program, run, site
from tests.interop.worlds import ALPHA, write_world

pytestmark = pytest.mark.timeout(120)
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
LIST = xvm.pack_list([xvm.ListRecord("test", UUID, 1)])

# A peer that is no daemon at all, in the network of the clients: it calls the clients back first, and says nothing.
INTRUDER = """
import socket, sys, time
print("ready", flush=True)
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        held = socket.create_connection(("127.0.0.1", 1229))
        break
    except ConnectionRefusedError:
        time.sleep(0.001)
time.sleep(30)
"""
# Takes one request without any authentication, answers with the bytes of its argument, and closes.
ANSWERER = """
import socket, sys
with socket.create_server(("127.0.0.1", 1229)) as server:
    print("ready", flush=True)
    connection, _ = server.accept()
    with connection:
        connection.recv(176, socket.MSG_WAITALL)
        connection.sendall(bytes.fromhex(sys.argv[1]))
"""


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of its own, where no daemon is."""
    with Network() as place:
        yield place


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key file."""
    path = tmp_path / "key"
    path.write_bytes(b"0123456789abcdef")
    return str(path)


def ask(network: Network, make: Make, program: str, *arguments: str, stdin: str = "", limit: float = 20) -> Answer:
    """Run a client in the network."""
    return run([*network.prefix, str(client_program(make, program)), *arguments], stdin, limit)


def answered(network: Network, make: Make, answer: bytes, *arguments: str, limit: float = 20) -> Answer:
    """Run a TCP client without authentication against a peer that answers with these bytes."""
    argv = [*network.prefix, sys.executable, "-c", ANSWERER, answer.hex()]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        assert peer.stdout.readline() == "ready\n"
        try:
            plain = ("-T", "127.0.0.1", "-c", "none", "-C", "none")
            return ask(network, make, "fence_virt", *plain, *arguments, limit=limit)
        finally:
            peer.kill()


@pytest.mark.parametrize(("program", "option"), (("fence_virt", "-u"), ("fence_xvm", "-T2"), ("fence_xvm", "--plug=a")))
def test_an_unknown_option_is_no_success(network: Network, program: str, option: str) -> None:
    assert ask(network, Make.C, program, option, "-o", "off", "-n", "vm").status == 0
    known = option.startswith("--")
    # The long name is known to ours, and leads to an error of another kind: the target is named twice.
    assert ask(network, Make.OURS, program, option, "-o", "off", "-n", "vm").status == 1, known


def test_blanks_around_the_equal_sign_do_not_turn_a_status_into_a_reboot(tmp_path: Path) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", (ALPHA,)),))
    told = {}
    for make in Make:
        with site(Make.C, plan, tmp_path / make.name) as place:
            text = f"key_file={place.folder}/key\nipaddr=127.0.0.1\nplug=alpha\naction = status\n"
            told[make] = run([*place.network.prefix, str(client_program(make, "fence_virt"))], text).told
    # C says nothing and exits 0: that was a reboot.
    assert told == {Make.C: (0, ""), Make.OURS: (0, "Status: ON\n")}


def test_an_unreadable_key_is_not_no_authentication(tmp_path: Path) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", (ALPHA,)),))
    with site(Make.C, plan, tmp_path / "site") as place:
        by_c, ours = (place.ask(make, "-k", str(tmp_path), "-o", "off", "-n", "alpha") for make in Make)
    assert "trying without authentication" in by_c.out + by_c.err
    assert ours.status == 1
    assert f"Could not read {tmp_path}" in ours.err
    assert "without authentication" not in ours.err


def test_a_short_timeout_ends(network: Network, key: str) -> None:
    arguments = ["-k", key, "-o", "off", "-n", "vm", "-t", "1"]
    with pytest.raises(subprocess.TimeoutExpired):
        ask(network, Make.C, "fence_xvm", *arguments, limit=2.5)
    ours = ask(network, Make.OURS, "fence_xvm", *arguments)
    assert ours.status == 1
    assert ours.undisturbed < 2


def test_a_stranger_that_calls_back_does_not_end_the_wait(tmp_path: Path, key: str) -> None:
    results = {}
    for make in Make:
        with Network() as network:
            argv = [*network.prefix, sys.executable, "-c", INTRUDER]
            over = threading.Event()
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as intruder:
                assert intruder.stdout is not None
                assert intruder.stdout.readline() == "ready\n"
                daemon = threading.Thread(target=late_daemon, args=(network, tmp_path / make.name, over))
                daemon.start()
                client = ("-k", key, "-o", "status", "-n", "test", "-t", "3" if make is Make.C else "15", "-r", "3")
                results[make] = ask(network, make, "fence_xvm", *client).status
                over.set()
                intruder.kill()
                daemon.join()
    # The stranger is the first, and C takes no second.
    assert results == {Make.C: 1, Make.OURS: 0}


def late_daemon(network: Network, folder: Path, over: threading.Event) -> None:
    """Run C's daemon half a second later, until that is over."""
    folder.mkdir()
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(b"0123456789abcdef")
    config = folder / "conf"
    config.touch(mode=0o600)
    config.write_text(
        'fence_virtd { listener = "multicast"; backend = "libvirt"; }\n'
        f'listeners {{ multicast {{ key_file = "{key}"; interface = "lo"; }} }}\n'
        'backends { libvirt { uri = "test:///default"; } }\n'
    )
    time.sleep(0.5)
    argv = [*network.prefix, "/usr/sbin/fence_virtd", "-F", "-d0", "-f", str(config), "-p", str(folder / "pid")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        over.wait(60)
        running.kill()


@pytest.mark.parametrize("length", (1, 200))
def test_a_list_that_breaks_off_is_a_failure(network: Network, length: int) -> None:
    assert answered(network, Make.C, LIST[:length], "-o", "list").status == 0
    check_broken(answered(network, Make.OURS, LIST[:length], "-o", "list"))


def test_a_list_that_breaks_off_between_two_vms_is_a_failure(network: Network) -> None:
    # C prints the last VM again and again, for ever.
    with pytest.raises(subprocess.TimeoutExpired):
        answered(network, Make.C, LIST[:131], "-o", "list", limit=2)
    check_broken(answered(network, Make.OURS, LIST[:131], "-o", "list"))


def check_broken(ours: Answer) -> None:
    assert (ours.status, ours.out) == (1, "")
    assert "the list broke off" in ours.err


def test_a_list_in_answer_to_an_off_is_a_failure(network: Network) -> None:
    assert answered(network, Make.OURS, LIST, "-o", "off", "-n", "vm").told == (253, "")


def test_half_a_magic_before_the_reply_is_passed_over(network: Network) -> None:
    reply = b"ab" + serialline.pack_reply(0)
    told = {}
    for make in Make:
        argv = [*network.prefix, sys.executable, "-c", ANSWERER.replace("176", "74"), reply.hex()]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as peer:
            assert peer.stdout is not None
            peer.stdout.readline()
            channel = ("-A", "127.0.0.1", "-o", "status", "-n", "vm", "-t", "2" if make is Make.C else "10")
            told[make] = ask(network, make, "fence_virt", *channel).status
            peer.kill()
    assert told == {Make.C: 255, Make.OURS: 0}


def test_a_host_may_be_named(network: Network) -> None:
    argv = [*network.prefix, sys.executable, "-c", ANSWERER, "00"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        peer.stdout.readline()
        name = ("-T", "localhost", "-c", "none", "-C", "none", "-o", "status", "-n", "vm")
        assert ask(network, Make.C, "fence_virt", *name).status == 1
        assert ask(network, Make.OURS, "fence_virt", *name).told == (0, "Status: ON\n")
        peer.kill()


def test_a_value_that_is_missing_on_standard_input_is_an_error(tmp_path: Path) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", (ALPHA,)),))
    with site(Make.C, plan, tmp_path / "site") as place:
        text = f"key_file={place.folder}/key\nipaddr=127.0.0.1\nplug=alpha\naction\n"
        by_c, ours = (run([*place.network.prefix, str(client_program(m, "fence_virt"))], text) for m in Make)
    assert by_c.status == 0
    assert (ours.status, "action needs a value" in ours.err) == (1, True)
