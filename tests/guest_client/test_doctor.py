"""`fence_virt --doctor`: what keeps a guest from fencing, told in order and with a fix, and nothing is fenced."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_guest import doctor, multicast
from fencebus_guest.addresses import LocalAddress
from fencebus_guest.settings import Settings
from fencebus_schemas import xvm
from fencebus_schemas.fingerprint import fingerprint
from tests.guest_client.conftest import KEY, Run, RunClient
from tests.guest_client.scripted_daemon import ScriptedDaemon

GROUP = "225.0.0.214"
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
LIST = xvm.pack_list((xvm.ListRecord("vm1", UUID, 1), xvm.ListRecord("vm2", UUID, 5)))
ALONE = LocalAddress(b"\x7f\0\0\1", 1)


class Daemon(ScriptedDaemon):
    """Works, and lists what it was given."""

    def __init__(self, listing: bytes) -> None:
        super().__init__(KEY, b"\0")
        self._listing = listing

    def converse(self, connection: socket.socket, request: xvm.XvmRequest) -> None:
        self.answer = self._listing if request.action == xvm.ACTION_LIST else b"\0"
        super().converse(connection, request)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test leaves the loopback interface."""
    for module in (multicast, doctor):
        monkeypatch.setattr(module, "local_addresses", lambda family: [ALONE])


def over_tcp(run_client: RunClient, key: str, port: int, *more: str) -> Run:
    return run_client("fence_virt", "-T", "127.0.0.1", "-p", str(port), "-k", key, "-t", "2", "--doctor", *more)


def test_a_guest_that_can_fence_is_told_what_it_may_fence(run_client: RunClient, key: str) -> None:
    Path(key).chmod(0o600)
    with Daemon(LIST) as daemon:
        done = over_tcp(run_client, key, daemon.serve_tcp())
    assert (done.status, done.errors) == (0, "")
    assert f"has the fingerprint {fingerprint(KEY)}" in done.output
    assert "OK       list: this guest may fence: vm1, vm2" in done.output
    assert [request.action for request in daemon.requests] == [xvm.ACTION_MONITOR, xvm.ACTION_LIST]


def test_programs_get_the_same_as_json(run_client: RunClient, key: str) -> None:
    Path(key).chmod(0o600)
    with Daemon(LIST) as daemon:
        told = json.loads(over_tcp(run_client, key, daemon.serve_tcp(), "--json").output)
    assert (told["version"], told["worst"]) == (1, "OK")
    assert [row["code"] for row in told["findings"]] == ["way", "key", "answer", "list", "denials"]


def test_nobody_on_the_port_is_an_error_with_its_fix(run_client: RunClient, key: str, tcp_port: int) -> None:
    done = over_tcp(run_client, key, tcp_port)
    assert done.status == 6
    assert "ERROR    answer: cannot connect to 127.0.0.1" in done.output
    assert "fix: see that fence_virtd runs there" in done.output


def test_a_daemon_that_does_not_work_is_an_error_and_an_empty_list_a_warning(run_client: RunClient, key: str) -> None:
    with ScriptedDaemon(KEY, b"\1") as daemon:
        assert over_tcp(run_client, key, daemon.serve_tcp()).status == 6
    with Daemon(xvm.pack_list(())) as daemon:
        done = over_tcp(run_client, key, daemon.serve_tcp())
    assert done.status == 5
    assert "this guest may fence no VM at all" in done.output


def test_a_missing_an_empty_and_an_open_key_are_told(tmp_path: Path, run_client: RunClient, tcp_port: int) -> None:
    empty, shared = tmp_path / "empty", tmp_path / "shared"
    empty.touch(mode=0o600)
    shared.write_bytes(KEY)
    shared.chmod(0o644)
    for file, text in ((tmp_path / "none", "Could not read"), (empty, "is empty"), (shared, "chmod 600")):
        done = over_tcp(run_client, str(file), tcp_port)
        assert done.status == 6
        assert text in done.output
        assert (" answer: " in done.output) == (file == shared), "it is not asked without a key"


def test_without_authentication_there_is_a_warning_instead_of_a_fingerprint() -> None:
    settings = Settings()
    settings.hash = settings.auth = 0
    assert [finding.level for finding in doctor.check_key(settings)] == ["WARNING"]


def test_multicast_needs_a_free_port_and_an_address_beyond_loopback(
    run_client: RunClient, key: str, tcp_port: int
) -> None:
    arguments = ("fence_xvm", "-a", GROUP, "-p", str(tcp_port), "-k", key, "-t", "1", "-r", "5", "--doctor")
    with socket.create_server(("0.0.0.0", tcp_port)):
        done = run_client(*arguments)
    assert done.status == 6
    assert f"ERROR    port: cannot listen on TCP port {tcp_port}" in done.output
    assert "WARNING  address: there is no address but loopback" in done.output
    with ScriptedDaemon(KEY, b"\1") as daemon:
        daemon.serve_multicast(GROUP, tcp_port)
        done = run_client(*arguments)
    assert "OK       port: " in done.output
    assert "fence_virtd answers, and says that it does not work (1)" in done.output


def test_a_group_that_is_none_is_an_error(run_client: RunClient, key: str) -> None:
    settings = Settings()
    settings.multicast_address = "no address"
    assert [finding.level for finding in doctor.check_callback(settings)] == ["ERROR"]


@pytest.mark.parametrize(
    ("answers", "level"), (({}, "OK"), ({"--state": ""}, "ERROR"), ({"--state": "", "--query-port=7/tcp": ""}, "OK"))
)
def test_firewalld_is_asked_for_the_port_of_the_call_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], level: str
) -> None:
    monkeypatch.setattr(doctor, "_firewalld", answers.get)
    assert [finding.level for finding in doctor.check_firewalld(7)] == [level]


def test_an_ordinary_start_does_not_load_the_doctor() -> None:
    code = "import sys; from fencebus_guest.main import main; main(['fence_virt', '-V'])"
    code += "; print('fencebus_guest.doctor' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("False\n")


def test_pacemaker_cannot_start_it_through_standard_input(run_client: RunClient, key: str) -> None:
    done = run_client("fence_virt", stdin=f"doctor=1\naction=validate-all\nplug=a\nkey_file={key}\n")
    assert done.status == 0
    assert "Ignoring unknown option 'doctor'" in done.errors


def test_what_was_denied_to_a_fence_agent_is_a_warning_and_other_denials_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    monkeypatch.setattr(doctor, "LOGS", (str(tmp_path / "none"), str(log)))
    log.write_text('type=AVC msg=audit(1:2): avc:  denied  { read } for comm="httpd" scontext=u:r:httpd_t:s0\n')
    assert [finding.level for finding in doctor.check_denials()] == [doctor.OK]
    denied = 'type=AVC msg=audit(1:3): avc:  denied  { name_connect } for comm="fence_xvm" scontext=u:r:fenced_t:s0'
    log.write_text(f"{log.read_text()}{denied}\n")
    (found,) = doctor.check_denials()
    assert (found.level, found.code) == (doctor.WARNING, "denied")
    assert found.text.endswith(denied)
    assert "fenced_can_network_connect" in found.fix
