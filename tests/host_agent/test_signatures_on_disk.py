"""A recorded request stays refused when the daemon that saw it has been killed and started again."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest

from fencebus_host.records import Records
from fencebus_host.replay import KEPT_SECONDS
from fencebus_schemas.digest import DIGEST_LENGTH
from fencebus_schemas.model import Action
from tests.daemon_process import SECRET, DaemonProcess
from tests.host_agent.test_records_in_order import slow_disk
from tests.protocol_client import PeerClosed, ask_tcp, signed

SIGNATURE = b"\1\0\2".ljust(DIGEST_LENGTH, b"\0")


def test_a_request_recorded_before_a_kill_of_the_daemon_is_refused_after_it(tmp_path: Path) -> None:
    recorded = signed(SECRET, Action.OFF, "node2")
    with DaemonProcess(tmp_path) as daemon:
        daemon.process.wait_for_tcp(daemon.port)
        assert ask_tcp(daemon.where, recorded, SECRET).code == 0
        daemon.process.stop(signal.SIGKILL)
        daemon.process.start()
        daemon.process.wait_for_tcp(daemon.port)
        with pytest.raises(PeerClosed):
            ask_tcp(daemon.where, recorded, SECRET)
        assert "reason=replayed" in daemon.log
        assert ask_tcp(daemon.where, signed(SECRET, Action.STATUS, "node2"), SECRET).code == 0


async def test_signatures_come_back_whole_and_are_dropped_after_their_day(tmp_path: Path) -> None:
    now = 1_000_000.0
    records = Records(tmp_path, {}, lambda: now)
    await records.open()
    records.keep_signature(SIGNATURE)
    records.keep_signature(SIGNATURE)
    assert await records.signatures() == [SIGNATURE]
    now += KEPT_SECONDS + 1
    assert await records.signatures() == []
    await records.close()


async def test_a_signature_after_the_end_is_a_log_line_not_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(tmp_path, {})
    await records.open()
    await records.close()
    records.keep_signature(SIGNATURE)
    assert "signature not written" in caplog.text


def one_of_many(number: int) -> bytes:
    return number.to_bytes(4, "big").ljust(DIGEST_LENGTH - 1, b"\1").ljust(DIGEST_LENGTH, b"\2")


async def test_a_flood_of_signed_requests_takes_one_place_before_a_kill_that_is_to_be_written_down(
    tmp_path: Path,
) -> None:
    records = Records(tmp_path, {})
    await records.open()
    with slow_disk(tmp_path):
        for number in range(1000):
            records.keep_signature(one_of_many(number))
        assert records._thread._work_queue.qsize() <= 1
    assert set(await records.signatures()) == {one_of_many(number) for number in range(1000)}
    await records.close()


async def test_of_a_flood_that_lasts_the_newest_are_kept_and_the_disk_does_not_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fencebus_host.records.MOST_KEPT", 10)
    monkeypatch.setattr("fencebus_host.records.PRUNED_AFTER", 5)
    now = 1_000_000.0
    records = Records(tmp_path, {}, lambda: now)
    await records.open()
    for number in range(100):
        now += 1.0
        records.keep_signature(one_of_many(number))
        assert one_of_many(number) in await records.signatures()
    with sqlite3.connect(tmp_path / "records.sqlite") as database:
        [(left,)] = database.execute("SELECT count(*) FROM signature")
    database.close()
    assert 10 <= left <= 15
    await records.close()
