"""Every decoder holds against its corpus, against hypothesis, and against five seconds of atheris."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fencebus_host.routers.checkpoint.fragments import split
from fencebus_schemas import qmf2
from fencebus_schemas.model import HostId
from fencebus_schemas.peer_codec import HEAD_LENGTH, encode
from fencebus_schemas.qmf2_messages import Heartbeat
from tests.components import require_module
from tests.fuzz import strategies_config, strategies_wire
from tests.fuzz.running import fuzz_all
from tests.fuzz.seeds import corpus_of, qmf_input, seeds
from tests.fuzz.targets import KEY, TARGETS
from tests.schemas import qmf_strategies
from tests.schemas.peer_strategies import messages

SECONDS = 5.0
LEAST_RUNS = 50
"""Fewer inputs in five seconds say that the fuzzer does not fuzz, however slow the machine is."""

_TEXTS = strategies_config.texts().map(lambda text: text.encode("utf-8", "surrogateescape"))
_HANDSHAKES = st.lists(strategies_wire.handshake_bytes, max_size=3).map(b"".join)
_BETWEEN_HOSTS = messages().map(lambda message: encode(message, (KEY,))[HEAD_LENGTH:])
_QMF = qmf_strategies.messages.filter(lambda message: not isinstance(message, Heartbeat)).map(
    lambda message: qmf_input(qmf2.encode(message))
)
_PACKETS = st.tuples(st.binary(max_size=90), st.integers(29, 60)).map(
    lambda given: bytes([given[1]]) * 16 + b"".join(split(given[0], HostId("me"), 1, given[1]))
)
_PIECES = (
    *(f"<{end}{name}>".encode() for end in ("", "/") for name in ("vm", "vms", "status", "state", "host", "fault")),
    b'<vm id="11111111-1111-1111-1111-111111111111">',
    b"<start_time>",
    b"</start_time>",
    b"2026-01-02T03:04:05Z",
    b"&lt;",
    b"&#0;",
    b"<!DOCTYPE a>",
    b"<![CDATA[",
    b"]]>",
    b"\xff",
)
INPUTS = {
    "xvm_request": strategies_wire.xvm_request_bytes,
    "record_list": strategies_wire.record_stream_bytes,
    "host_handshake": _HANDSHAKES,
    "guest_handshake": _HANDSHAKES,
    "serial_request": strategies_wire.serial_request_bytes,
    "serial_reply": strategies_wire.serial_reply_bytes,
    "config_grammar": _TEXTS,
    "config_text": _TEXTS,
    "peer_message": strategies_wire.damaged(_BETWEEN_HOSTS).map(lambda body: b"\1" + body),
    "group_packets": strategies_wire.damaged(_PACKETS),
    "qmf_message": strategies_wire.damaged(_QMF),
    "qmf_schema_request": strategies_wire.damaged(st.just(b"AM2S\0\0\0\1\1p\1c" + bytes(16))),
    "manager_answer": st.binary() | st.lists(st.sampled_from(_PIECES)).map(b"".join),
    "door": st.builds(
        lambda first, rest: bytes([first]) + rest, st.integers(0, 255), strategies_wire.xvm_request_bytes
    ),
}


def test_every_target_has_a_strategy_and_a_corpus_that_holds_its_seeds() -> None:
    assert set(INPUTS) == set(TARGETS) == set(seeds())
    for target in TARGETS:
        assert {path.read_bytes() for path in corpus_of(target)} >= set(seeds()[target])


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_breaks_nothing(target: str) -> None:
    for path in corpus_of(target):
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_hypothesis_finds_nothing(target: str) -> None:
    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(INPUTS[target])
    def holds(data: bytes) -> None:
        TARGETS[target](data)

    holds()


@pytest.mark.timeout(400)
def test_five_seconds_of_fuzzing_find_nothing_in_any_decoder() -> None:
    require_module("atheris", extra="fuzz")
    findings = list(fuzz_all(TARGETS, SECONDS))
    assert [finding.output for finding in findings if finding.status] == []
    assert [str(finding) for finding in findings if finding.runs < LEAST_RUNS] == []
