"""A recorded request stays refused when the daemon that saw it has been killed and started again."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fencebus_host.records import Records
from fencebus_host.replay import KEPT_SECONDS
from fencebus_schemas.digest import DIGEST_LENGTH
from fencebus_schemas.model import Action
from tests.daemon_process import SECRET, DaemonProcess
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
