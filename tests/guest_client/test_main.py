"""One run of the client from options to exit status, over TCP."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from fencebus_guest import main as main_module
from fencebus_guest import stream
from fencebus_guest.patience import Patience
from fencebus_guest.request import Asking
from fencebus_guest.settings import Settings
from fencebus_schemas import digest, xvm
from tests.elapsed import Stopwatch
from tests.guest_client.conftest import KEY, RunClient
from tests.guest_client.scripted_daemon import ScriptedDaemon

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
RECORDS = (
    xvm.ListRecord("test", UUID, 1),
    xvm.ListRecord("paused", UUID, 3),
    xvm.ListRecord("caf\udce9\x1b[", UUID, 5),
)
LIST = xvm.pack_list(RECORDS)


@pytest.mark.parametrize(
    ("action", "answer", "status", "output", "errors"),
    (
        ("off", b"\0", 0, "", ""),
        ("on", b"\0", 0, "", ""),
        ("reboot", b"\0", 0, "", ""),
        ("monitor", b"\0", 0, "", ""),
        ("status", b"\0", 0, "Status: ON\n", ""),
        ("status", b"\2", 2, "Status: OFF\n", ""),
        ("off", b"\1", 1, "", "Operation failed\n"),
        ("null", b"\1", 1, "", "Operation failed\n"),
        ("off", b"\3", 3, "", "Permission denied\n"),
        ("off", b"\xff", 255, "", "Unknown response (255)\n"),
        ("off", b"\x07", 7, "", "Unknown response (7)\n"),
        ("off", LIST, 253, "", "Unknown response (253)\n"),
    ),
)
def test_the_daemons_answer_decides_text_and_status(
    run_client: RunClient, key: str, action: str, answer: bytes, status: int, output: str, errors: str
) -> None:
    with ScriptedDaemon(KEY, answer) as daemon:
        port = str(daemon.serve_tcp())
        done = run_client("fence_virt", "-T", "127.0.0.1", "-p", port, "-k", key, "-n", "vm1", "-o", action)
    assert (done.status, done.output) == (status, output)
    assert done.errors.startswith(errors)
    assert bool(done.errors) == bool(errors)
    request = daemon.requests[0]
    assert (xvm.ACTION_NAMES[request.action], request.domain) == (action, "vm1")
    assert (request.address, request.port, request.family, request.flags) == (b"", 0, 0, 0)


def test_standard_input_as_pacemaker_writes_it_is_enough(run_client: RunClient, key: str) -> None:
    with ScriptedDaemon(KEY, b"\0") as daemon:
        port = daemon.serve_tcp("::1")
        text = f"agent=fence_virt\nipaddr = ::1\nipport = {port}\nkey_file={key}\nnodename=n1\nport=vm1\naction = off\n"
        assert run_client("fence_virt", stdin=text) == (0, "", "")
    assert daemon.requests[0].action == xvm.ACTION_OFF


@pytest.mark.parametrize("action", ("list", "list-status"))
def test_a_list_has_one_line_for_each_vm(run_client: RunClient, key: str, action: str) -> None:
    with ScriptedDaemon(KEY, LIST) as daemon:
        port = str(daemon.serve_tcp())
        done = run_client("fence_virt", "-T", "localhost", "-p", port, "-k", key, "-o", action)
    assert done.status == 0
    assert done.output.splitlines()[:2] == [f"{'test':<32} {UUID} on", f"{'paused':<32} {UUID} off"]
    assert "\x1b" not in done.output


def test_json_is_for_programs(run_client: RunClient, key: str) -> None:
    base = ["fence_virt", "-T", "127.0.0.1", "-k", key, "--json"]
    with ScriptedDaemon(KEY, xvm.pack_list(RECORDS[:2])) as daemon:
        done = run_client(*base, "-p", str(daemon.serve_tcp()), "-o", "list")
    vms = json.loads(done.output)["vms"]
    assert [(vm["name"], vm["state"], vm["libvirt_state"]) for vm in vms] == [("test", "on", 1), ("paused", "off", 3)]
    with ScriptedDaemon(KEY, b"\2") as daemon:
        done = run_client(*base, "-p", str(daemon.serve_tcp()), "-o", "status", "-n", "vm1")
    assert (done.status, json.loads(done.output)) == (2, {"state": "off"})


@pytest.mark.parametrize("length", (1, 100, 131, 260))
def test_a_list_that_breaks_off_is_a_failure(run_client: RunClient, key: str, length: int) -> None:
    with ScriptedDaemon(KEY, LIST[:length]) as daemon:
        done = run_client("fence_virt", "-T", "127.0.0.1", "-p", str(daemon.serve_tcp()), "-k", key, "-o", "list")
    assert (done.status, done.output) == (1, "")
    assert "the list broke off" in done.errors


@pytest.mark.parametrize("auth", digest.HASH_NAMES)
@pytest.mark.parametrize("hash_", digest.HASH_NAMES)
def test_hash_and_auth_are_two_settings(run_client: RunClient, key: str, auth: str, hash_: str) -> None:
    numbers = {"auth": digest.HASH_NAMES.index(auth), "minimum": digest.HASH_NAMES.index(hash_)}
    with ScriptedDaemon(KEY, b"\0", **numbers) as daemon:
        port = str(daemon.serve_tcp())
        arguments = ["-T", "127.0.0.1", "-p", port, "-k", key, "-C", auth, "-c", hash_, "-n", "vm1", "-o", "status"]
        assert run_client("fence_virt", *arguments).status == 0


def test_another_key_is_a_failure_that_says_so(run_client: RunClient, key: str) -> None:
    for daemon in (ScriptedDaemon(b"another", b"\0"), ScriptedDaemon(b"another", b"\0", minimum=0)):
        with daemon:
            port = str(daemon.serve_tcp())
            done = run_client(
                "fence_virt", "-T", "127.0.0.1", "-p", port, "-k", key, "-c", "none", "-n", "vm1", "-o", "off"
            )
        assert (done.status, done.output) == (1, "")
        assert done.errors.startswith("Operation failed\nfence_virt: Invalid response to challenge: ")
        assert key in done.errors
        assert daemon.requests == []


def test_a_daemon_that_takes_the_request_and_dies_is_a_failure(run_client: RunClient, key: str) -> None:
    with ScriptedDaemon(KEY, b"") as daemon:
        port = str(daemon.serve_tcp())
        done = run_client("fence_virt", "-T", "127.0.0.1", "-p", port, "-k", key, "-n", "vm1", "-o", "off")
    assert done.status == 1
    assert "took the request and gave no result" in done.errors


def test_nobody_there_is_a_failure_that_says_where(run_client: RunClient, key: str, tcp_port: int) -> None:
    arguments = ["-p", str(tcp_port), "-k", key, "-n", "vm1", "-o", "off"]
    done = run_client("fence_virt", "-T", "127.0.0.1", *arguments)
    assert done.status == 1
    assert f"cannot connect to 127.0.0.1:{tcp_port}: Connection refused" in done.errors
    done = run_client("fence_virt", "-T", "no..such..name", *arguments)
    assert (done.status, done.output) == (1, "")
    assert "cannot connect to no..such..name" in done.errors
    assert "/etc/hosts or DNS" in done.errors


def test_a_silent_daemon_costs_no_more_than_the_timeout(run_client: RunClient, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        watch = Stopwatch()
        done = run_client("fence_virt", "-T", "127.0.0.1", "-p", port, "-k", key, "-n", "vm1", "-o", "off", "-t", "1")
    assert done.status == 1
    assert "no bytes came in time; it hangs, or another program has the port" in done.errors
    assert watch.seconds > 0.9
    assert watch.undisturbed < 2


@pytest.mark.parametrize("program", ("fence_virt", "fence_xvm"))
def test_an_unknown_option_exits_1(run_client: RunClient, program: str) -> None:
    done = run_client(program, "-Z")
    assert done.status == 1
    assert done.output.startswith(f"usage: {program} [args]")
    assert done.errors == f"{program}: unknown option -Z\n"
    assert run_client("fence_virt", "-u").status == 1
    assert run_client("fence_xvm", "-T", "127.0.0.1").status == 1


@pytest.mark.parametrize("action", ("off", "on", "reboot", "status", "null"))
def test_a_target_is_needed(run_client: RunClient, action: str) -> None:
    done = run_client("fence_xvm", "-o", action)
    assert done.status == 1
    assert done.output.startswith("usage: ")
    assert f"{action} needs a target" in done.errors


def test_validate_all_wants_a_target_and_prints_no_usage(run_client: RunClient) -> None:
    assert run_client("fence_xvm", "-o", "validate-all", "-n", "vm1") == (0, "", "")
    done = run_client("fence_xvm", "-o", "validate-all")
    assert (done.status, done.output) == (1, "")
    done = run_client("fence_xvm", "-o", "validate-all", "-n", "vm1", "-k", "/nonexistent/key")
    assert (done.status, done.output) == (1, "")
    assert "No such file" in done.errors


def test_an_unreadable_key_is_never_no_authentication(run_client: RunClient, tmp_path: Path, tcp_port: int) -> None:
    base = ["fence_virt", "-T", "127.0.0.1", "-p", str(tcp_port), "-n", "vm1", "-o", "off", "-k"]
    assert "usage: " in run_client(*base, str(tmp_path / "missing")).output
    done = run_client(*base, str(tmp_path))
    assert (done.status, done.errors[:16]) == (1, "Operation failed")
    assert f"Could not read {tmp_path}" in done.errors
    empty = tmp_path / "empty.key"
    empty.touch()
    assert "is empty" in run_client(*base, str(empty)).errors


def test_no_key_is_read_where_none_is_needed(tmp_path: Path) -> None:
    settings = Settings()
    settings.hash = settings.auth = digest.HASH_NONE
    settings.key_file = str(tmp_path / "missing")
    assert Asking(settings, xvm.ACTION_OFF).key == b""


def test_a_long_key_counts_with_its_first_4096_bytes_and_its_newline(tmp_path: Path) -> None:
    settings = Settings()
    settings.key_file = str(tmp_path / "long.key")
    Path(settings.key_file).write_bytes(b"k" * 4095 + b"\n" + b"rest")
    assert Asking(settings, xvm.ACTION_OFF).key == b"k" * 4095 + b"\n"


def test_the_delay_is_for_actions_that_change_something(run_client: RunClient, key: str) -> None:
    def delayed(action: str) -> Stopwatch:
        with ScriptedDaemon(KEY, b"\0") as daemon:
            port = str(daemon.serve_tcp())
            watch = Stopwatch()
            run_client("fence_virt", "-T", "127.0.0.1", "-p", port, "-k", key, "-n", "vm1", "-o", action, "-w", "1")
            watch.stop()
        return watch

    assert delayed("status").undisturbed < 0.9
    assert delayed("off").seconds > 0.9


def test_debug_shows_the_settings_and_never_the_key(run_client: RunClient, key: str) -> None:
    done = run_client("fence_xvm", "-d", "-o", "validate-all", "-n", "vm1", "-k", key)
    assert done.status == 0
    assert "  plug = vm1\n" in done.output
    assert KEY.decode() not in done.output


def test_an_interrupted_client_does_not_claim_success(run_client: RunClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "ask", interrupt)
    done = run_client("fence_xvm", "-o", "off", "-n", "vm1")
    assert done.status == 130
    assert "not known" in done.errors


def test_vsock_goes_before_tcp_and_asks_the_cid(
    run_client: RunClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No vsock is ever opened here: CID 2 is the test machine's own hypervisor.
    asked: list[tuple[int, object]] = []

    def refuse(family: int, address: tuple[int, int], patience: Patience) -> None:
        asked.append((family, address))
        raise OSError(19, os.strerror(19))

    monkeypatch.setattr(stream, "connect_socket", refuse)
    done = run_client("fence_virt", "-S3", "-T", "127.0.0.1", "-k", key, "-n", "vm1", "-o", "off")
    assert done.status == 1
    assert "cannot connect to vsock 3:1229: No such device" in done.errors
    assert asked == [(40, (3, 1229))]


def test_a_retransmission_is_the_same_request(key: str) -> None:
    settings = Settings()
    settings.key_file, settings.plug, settings.use_uuid = key, "vm1", True
    asking = Asking(settings, xvm.ACTION_OFF)
    first = asking.signed(b"\x7f\0\0\1")
    assert first.pack() == asking.signed(b"\x7f\0\0\1").pack()
    other = asking.signed(b"\x0a\0\0\1")
    assert (other.seqno, other.random) == (first.seqno, first.random)
    assert (first.flags, first.port, first.family) == (xvm.FLAG_UUID, 1229, xvm.FAMILY_IPV4)
    assert Asking(settings, xvm.ACTION_OFF).signed().random != first.random
