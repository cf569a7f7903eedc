"""The load generator against an answerer that speaks the protocol's other side."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench import answerer
from tests.bench.load import Aim, ask_for, ask_once
from tests.bench.rivals import Transport
from tests.components import CHECKOUT
from tests.conftest import StartProgram


def test_every_request_is_answered_and_tallied(start_program: StartProgram, key_file: Path, tcp_port: int) -> None:
    program = start_program([sys.executable, "-IS", answerer.__file__, CHECKOUT / "schemas", str(tcp_port), key_file])
    program.wait_for_output(answerer.LISTENING.decode())
    tally = ask_for(Aim(Transport.TCP, tcp_port, key_file.read_bytes(), "vm"), in_flight=4, seconds=0.1)
    assert tally.errors == []
    assert len(tally.waits) >= 4
    assert tally.rate > 0
    assert tally.worst == max(tally.waits)


def test_a_daemon_that_is_not_there_is_an_error_and_no_answer(key_file: Path, tcp_port: int) -> None:
    tally = ask_once(Aim(Transport.TCP, tcp_port, key_file.read_bytes(), "vm"))
    assert tally.waits == []
    assert tally.asked == 1
