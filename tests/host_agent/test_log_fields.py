"""Fields of log lines: in the journal's own protocol, as JSON, and exactly two lines for a fence."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host import asking, log_journal, logs
from fencebus_host.config.model import LogFormat
from fencebus_host.effects import Deed
from fencebus_host.federation.tokens import REISSUE
from fencebus_host.log_fields import about
from fencebus_host.log_journal import JournalHandler, entry, goes_to_the_journal, priority
from fencebus_host.routers.federated.deed_log import LoggedDeeds
from fencebus_schemas.model import Action, Reason, RequestId
from tests.host_agent.federated_site import Disk, described, site, vm
from tests.host_agent.house import House

NAME = "fencebus_host.tried"


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers, root.level = handlers, level


def read_entry(datagram: bytes) -> dict[str, bytes]:
    """The fields of a datagram, as journald reads it."""
    found: dict[str, bytes] = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, separator, value = line.partition(b"=")
        if not separator:
            length = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + length], datagram[9 + length :]
        found[name.decode()] = value
    return found


@given(st.lists(st.tuples(st.sampled_from(["MESSAGE", "FENCE_TARGET", "X"]), st.text()), unique_by=lambda one: one[0]))
def test_journald_reads_what_was_meant_and_no_text_forges_a_field(fields: list[tuple[str, str]]) -> None:
    expected = {name: value.encode("utf-8", "surrogateescape") for name, value in fields}
    assert read_entry(entry(fields)) == expected


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A journal, which a test reads."""
    monkeypatch.setattr(log_journal, "SOCKET", tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(30)
        yield listening


def test_a_line_goes_to_the_journal_with_its_fields(journal: socket.socket, tmp_path: Path) -> None:
    handler = JournalHandler("fence_virtd", tmp_path / "journal")
    logging.getLogger().addHandler(handler)
    told = about(request_id="0123", target="vm\nFENCE_OK=yes", seqno=7, nothing=None)
    logging.getLogger(NAME).warning("a %s", "line", extra=told)
    found = read_entry(journal.recv(100_000))
    assert found == {
        "MESSAGE": b"a line",
        "PRIORITY": b"4",
        "SYSLOG_IDENTIFIER": b"fence_virtd",
        "LOGGER": NAME.encode(),
        "FENCE_REQUEST_ID": b"0123",
        "FENCE_TARGET": b"vm\nFENCE_OK=yes",
        "FENCE_SEQNO": b"7",
    }


def test_a_journal_that_is_gone_hinders_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handler = JournalHandler("fence_virtd", tmp_path / "none")
    logging.getLogger().addHandler(handler)
    logging.getLogger(NAME).warning("a line")
    assert "a line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("level", "number"), ((5, 7), (logging.DEBUG, 7), (logging.INFO, 6), (logging.ERROR, 3), (logging.CRITICAL, 2))
)
def test_levels_are_syslogs(level: int, number: int) -> None:
    assert priority(level) == number


def test_systemd_says_whether_standard_error_is_the_journal(journal: socket.socket, tmp_path: Path) -> None:
    with (tmp_path / "stream").open("wb") as stream:
        found = os.fstat(stream.fileno())
        told = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert goes_to_the_journal(stream.fileno(), told)
        assert not goes_to_the_journal(stream.fileno(), {"JOURNAL_STREAM": "8:1"})
        assert not goes_to_the_journal(stream.fileno(), {})
        number = stream.fileno()
    assert not goes_to_the_journal(number + 1000, told)


def test_under_systemd_lines_go_to_the_journal_and_as_json_to_standard_error(
    journal: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr(logs, "STANDARD_ERROR", stream.fileno())
        logs.set_up("fence_virtd", foreground=True, debug=0)
        handler = logging.getLogger().handlers[-1]
        assert isinstance(handler, JournalHandler)
        handler.close()
        logs.set_up("fence_virtd", foreground=True, debug=0, form=LogFormat.JSON)
        assert not isinstance(logging.getLogger().handlers[-1], JournalHandler)


def test_a_line_of_json_has_its_text_its_fields_and_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=0, form=LogFormat.JSON)
    asking.REQUEST.set("77")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger(NAME).exception("it %s", "broke", extra=about(target="vm"))
    finally:
        asking.REQUEST.set("")
    told = json.loads(capsys.readouterr().err)
    assert told["error"].endswith("ZeroDivisionError")
    assert told["time"].endswith("Z")
    del told["time"], told["error"]
    assert told == {
        "level": "error",
        "program": "fence_virtd",
        "logger": NAME,
        "message": "it broke",
        "request_id": "77",
        "target": "vm",
    }


async def test_a_fence_leaves_exactly_two_lines_with_its_id(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=0, form=LogFormat.JSON)
    for action in (Action.REBOOT, Action.OFF, Action.STATUS, Action.LIST, Action.MONITOR):
        capsys.readouterr()
        outcome = (await house.ask(action, "vm" if action.has_target else "")).outcome
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert len(lines) == (2 if action.changes else 0), lines
        for line, event in zip(lines, ("accepted", "verdict"), strict=False):
            assert (line["request_id"], line["event"], line["level"]) == (outcome.request, event, "info")
            assert (line["action"], line["target"], line["via"]) == (action.name.lower(), "vm", "tcp")
        if lines:
            assert (lines[1]["ok"], lines[1]["reason"]) == ("yes", outcome.reason.value)


async def test_across_hosts_the_owner_says_under_the_same_id_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    async with site({"a": [described(1)], "b": [described(2)]}) as (_, hosts):
        await asyncio.sleep(2 * REISSUE)
        hosts["b"].announce()  # with a token that is younger than the VM: no order has to be said twice
        await asyncio.sleep(0.2)
        logs.set_up("fence_virtd", foreground=True, debug=0, form=LogFormat.JSON)
        capsys.readouterr()
        remote = (await hosts["a"].ask(Action.REBOOT, "vm2")).outcome
        here = (await hosts["a"].ask(Action.OFF, "vm1")).outcome
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert remote.ok
    assert here.ok
    told = [[line["event"] for line in lines if line.get("request_id") == each.request] for each in (remote, here)]
    assert told == [["accepted", "deed", "deed", "verdict"], ["accepted", "verdict"]]
    deeds = [line for line in lines if line["event"] == "deed"]
    assert [(deed["act"], deed["target"], deed["state"]) for deed in deeds] == [
        ("kill", vm(2), "off"),
        ("start", vm(2), "running"),
    ]


async def test_what_an_owner_refused_or_could_not_write_down_is_said_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("fence_virtd", foreground=True, debug=0)
    deeds = LoggedDeeds(Disk(full=True), ())
    refused = Deed("i", RequestId("7"), None, Reason.DENIED, "no group allows it")
    assert not await deeds.keep(refused)
    await asyncio.sleep(0)  # whoever waits for the disk goes first
    said = capsys.readouterr().err
    assert said.endswith("deed request=7 act=kill reason=denied no group allows it, which could not be written down\n")
    assert await LoggedDeeds(Disk(), {RequestId("7")}).keep(refused)
    await asyncio.sleep(0)
    assert capsys.readouterr().err == ""
