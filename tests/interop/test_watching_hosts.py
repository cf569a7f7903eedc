"""What an administrator sees of two real daemons that are linked directly: at either, the VMs of both, and why a fence
succeeded or not.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_schemas.status_schema import ROOTS, schema_of
from tests.daemon_process import DaemonProcess
from tests.host_agent.ctl.calls import Called, call
from tests.ports import free_tcp_port

Printed = pytest.CaptureFixture[str]

pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DaemonProcess, DaemonProcess]]:
    """Hosts ``a`` with node1 and ``b`` with node2."""
    ports = {"a": free_tcp_port(), "b": free_tcp_port()}
    made = [daemon(tmp_path_factory.mktemp(name), name, number, ports) for number, name in enumerate("ab", 1)]
    with made[0] as one, made[1] as other:
        one.wait_ready()
        other.wait_ready()
        yield one, other


def daemon(folder: Path, name: str, number: int, ports: dict[str, int]) -> DaemonProcess:
    (folder / "bus.key").touch(mode=0o600)
    (folder / "bus.key").write_text("the key that the hosts have, and no guest")
    url = "peers://" + ",".join(f"{host}@127.0.0.1:{port}" for host, port in ports.items())
    return DaemonProcess(
        folder,
        backend="qmf",
        daemon=f'host = "{name}"; request_timeout = "25";',
        backends=f'qmf {{ url = "{url}"; key_file = "{folder / "bus.key"}"; }}',
        rest='hosts { host { name = "a"; } host { name = "b"; } }',
        vms={f"node{number}": f"52:54:00:00:00:{number:02x}"},
    )


def test_either_host_tells_of_both_and_explains_a_fence_that_the_other_carried_out(
    daemons: tuple[DaemonProcess, DaemonProcess], capsys: Printed
) -> None:
    one, other = daemons

    def ctl(command: str, *options: str) -> Called:
        return call(capsys, command, "-f", one.config_file, *options)

    def told(command: str, *options: str) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(ctl(command, *options, "--format", "json").out)
        jsonschema.validate(found, schema_of(ROOTS[command]))
        return found

    one.process.wait_until(lambda: "node2" in ctl("owners").out, what="hearing of node2")
    assert [(vm["name"], vm["owner"]) for vm in told("status")["vms"]] == [("node1", "a"), ("node2", "b")]
    assert {host["name"]: host["state"] for host in told("status")["hosts"]} == {"a": "here", "b": "heard"}
    one.process.wait_until(lambda: told("status")["routers"][0]["synced"] is True, what="reading all that b has")
    (router,) = told("status")["routers"]
    assert str(router["bus"]).startswith("peers://a@127.0.0.1:")
    known = {"name": "qmf", "members": 2, "heard": 2, "synced": True, "quorate": None, "epoch": 1, "connected": True}
    assert router == {**known, "bus": router["bus"]}
    assert "  qmf: 2 members, 2 heard, synced, epoch 1, on peers://" in ctl("status").out
    listed = json.loads(call(capsys, "host", "list", "-f", one.config_file, "--format", "json").out)
    jsonschema.validate(listed, schema_of(ROOTS["hosts"]))
    assert [(host["name"], host["vms"]) for host in listed["hosts"]] == [("a", 1), ("b", 1)]
    assert listed["routers"] == [router]
    rehearsed = ctl("test-fence", "node2")
    assert (rehearsed.status, "b, asked now: it is running there" in rehearsed.out) == (ExitCode.OK, True)

    assert ctl("fence", "node2", "--yes").status == ExitCode.OK
    (fence,) = told("history", "--vm", "node2")["fences"]
    assert re.fullmatch(rf"uid {os.getuid()}(, logged in as uid \d+)?, process {os.getpid()}", str(fence["by"]))
    found = told("explain", str(fence["id"]))
    assert found["agrees"]
    assert {rule["rule"] for rule in found["rules"]} >= {"s7_brought_for_this_request"}
    assert [claim["host"] for claim in found["claims"]] == ["b"]
    other.process.wait_until(lambda: f"deed request={fence['id']} act=kill" in other.log, what="saying what it did")

    other.process.send(signal.SIGSTOP)
    try:
        assert ctl("fence", "node2", "--action", "on", "--patience", "3", "--yes").status == ExitCode.NOT_FENCED
        lost = told("explain", "node2")
        assert lost["agrees"]
        assert lost["missing"]
    finally:
        other.process.send(signal.SIGCONT)
    kinds = [line.split("\t")[2] for line in ctl("events", "--format", "tsv", "-n", "100").out.splitlines()]
    assert {"fence-accepted", "fence-finished", "vm-changed"} <= set(kinds)
