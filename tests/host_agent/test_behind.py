"""What is written down though nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fencebus_host.behind import BEHIND_SECONDS, Behind, Named, Statement
from fencebus_host.records import Records
from fencebus_schemas.model import HostId
from tests.host_agent import evidence
from tests.host_agent.evidence import request
from tests.hypervisors import eventually

ROW: Sequence[Statement] = (("INSERT", [(1,)]),)


class Thread:
    """In place of the one that writes."""

    def __init__(self) -> None:
        self.written: list[Sequence[Named]] = []

    def write(self, make: Callable[[], Sequence[Named]]) -> None:
        """As it comes."""
        self.written.append(make())


def refuse() -> Sequence[Statement]:
    """A defect."""
    raise TypeError("no plain form")


async def test_what_comes_within_a_moment_is_written_together_and_in_its_order() -> None:
    thread = Thread()
    behind = Behind(thread.write)
    for what in ("signature", "kill", "history"):
        behind.put(what, lambda: ROW)
        assert thread.written == []
    await eventually(lambda: bool(thread.written))
    assert [[what for what, _ in named] for named in thread.written] == [["signature", "kill", "history"]]
    await asyncio.sleep(2 * BEHIND_SECONDS)
    assert len(thread.written) == 1


async def test_who_is_to_catch_up_does_so_at_once_and_but_once() -> None:
    thread = Thread()
    behind = Behind(thread.write)
    behind.put("kill", lambda: ROW)
    behind.catch_up()
    assert thread.written == [[("kill", ROW)]]
    behind.catch_up()
    await asyncio.sleep(2 * BEHIND_SECONDS)
    assert len(thread.written) == 1


async def test_a_defect_in_one_is_a_line_in_the_log_and_no_others_loss(caplog: pytest.LogCaptureFixture) -> None:
    thread = Thread()
    behind = Behind(thread.write)
    behind.put("history", refuse)
    behind.put("kill", lambda: ROW)
    behind.put("nothing", lambda: ())
    behind.catch_up()
    assert thread.written == [[("kill", ROW)]]
    assert "history not written by a defect" in caplog.text


async def test_what_cannot_be_written_takes_nothing_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = Records(tmp_path, {}, host=HostId("another"))
    await records.open()
    asked = request()
    records._behind.put("history", lambda: [("INSERT INTO nowhere VALUES (?)", [(1,)])])
    await records.ended(asked, evidence.killed())
    assert [each for *_, each in await records.kills()] == [asked.id]
    assert "history not written" in caplog.text
    await records.close()


async def test_the_records_are_not_closed_before_what_is_behind(tmp_path: Path) -> None:
    first = Records(tmp_path, {})
    await first.open()
    first.keep_signature(b"signed")
    await first.close()
    second = Records(tmp_path, {})
    await second.open()
    assert [each.rstrip(b"\0") for each in await second.signatures()] == [b"signed"]
    await second.close()
