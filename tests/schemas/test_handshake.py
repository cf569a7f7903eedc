"""The two-way challenge-response, driven by lists of bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from fencebus_schemas import digest, handshake
from fencebus_schemas.errors import WireError
from fencebus_schemas.handshake import Read, Send
from tests.captured import TCP, require_key, require_payloads
from tests.fuzz import strategies_wire as wire

if TYPE_CHECKING:
    from fencebus_schemas.handshake import Step

KEY = b"0123456789abcdef"
GUEST = bytes(range(64))
HOST = bytes(range(64, 128))


def run(step: Step, answers: Iterable[bytes] = ()) -> tuple[list[Send | Read], bytes]:
    """Drive `step`, give `answers` to its reads; return what it yielded and what it returned."""
    left = iter(answers)
    seen: list[Send | Read] = []
    value = b""
    try:
        while True:
            seen.append(step.send(value) if seen else next(step))
            value = next(left) if isinstance(seen[-1], Read) else b""
    except StopIteration as end:
        assert not list(left), "the handshake did not ask for all answers"
        return seen, end.value


def meet(guest: Step, host: Step) -> tuple[bytes, bytes]:
    """Let two sides talk until both are done; return what they returned."""
    inbox: dict[str, bytearray] = {"guest": bytearray(), "host": bytearray()}
    steps = {"guest": guest, "host": host}
    wants: dict[str, Send | Read | None] = dict.fromkeys(steps)
    results: dict[str, bytes] = {}
    while len(results) < len(steps):
        for name, step in steps.items():
            if name not in results:
                advance(name, step, inbox, wants, results)
    return results["guest"], results["host"]


def advance(
    name: str, step: Step, inbox: dict[str, bytearray], wants: dict[str, Send | Read | None], results: dict[str, bytes]
) -> None:
    want, value = wants[name], b""
    other = "host" if name == "guest" else "guest"
    if isinstance(want, Read):
        if len(inbox[name]) < want.length:
            return
        value = bytes(inbox[name][: want.length])
        del inbox[name][: want.length]
    elif isinstance(want, Send):
        inbox[other] += want.data
    try:
        wants[name] = step.send(value) if want else next(step)
    except StopIteration as end:
        results[name] = end.value


@pytest.mark.parametrize("auth", (1, 2, 3))
def test_two_holders_of_the_key_accept_each_other(auth: int) -> None:
    assert meet(handshake.guest_side(KEY, auth, GUEST), handshake.host_side(KEY, auth, HOST)) == (HOST, GUEST)


def test_auth_none_exchanges_no_bytes() -> None:
    assert run(handshake.guest_side(b"", digest.HASH_NONE, b"")) == ([], b"")
    assert run(handshake.host_side(b"", digest.HASH_NONE, b"")) == ([], b"")


def test_the_guest_challenges_first_and_the_host_answers_first() -> None:
    proof = digest.digest64(2, KEY, GUEST)
    seen, theirs = run(handshake.guest_side(KEY, 2, GUEST), [proof, HOST])
    assert seen == [Send(GUEST), Read(64), Read(64), Send(digest.digest64(2, KEY, HOST))]
    assert theirs == HOST
    seen, theirs = run(handshake.host_side(KEY, 2, HOST), [GUEST, digest.digest64(2, KEY, HOST)])
    assert seen == [Read(64), Send(proof), Send(HOST), Read(64)]
    assert theirs == GUEST


def test_every_handshake_of_the_capture_is_what_both_sides_compute() -> None:
    key = require_key()
    halves = [p for p in require_payloads() if p.protocol == TCP and len(p.data) == 64]
    sessions = [halves[at : at + 4] for at in range(0, len(halves), 4)]
    assert len(sessions) > 10
    for ours, proof, theirs, response in sessions:
        sent, _ = run(handshake.guest_side(key, 2, ours.data), [proof.data, theirs.data])
        assert sent[-1] == Send(response.data)
        sent, _ = run(handshake.host_side(key, 2, theirs.data), [ours.data, response.data])
        assert sent[1] == Send(proof.data)


def test_another_key_or_another_hash_is_refused_by_both() -> None:
    for wrong in (digest.digest64(2, b"another", GUEST), digest.digest64(1, KEY, GUEST), GUEST, bytes(64)):
        with pytest.raises(handshake.AuthError) as caught:
            run(handshake.guest_side(KEY, 2, GUEST), [wrong])
        assert caught.value.code == "response"
        with pytest.raises(handshake.AuthError) as caught:
            run(handshake.host_side(KEY, 2, GUEST), [HOST, wrong])
        assert caught.value.code == "response"


def test_the_guest_does_not_answer_its_own_challenge() -> None:
    with pytest.raises(handshake.AuthError) as caught:
        run(handshake.guest_side(KEY, 2, GUEST), [digest.digest64(2, KEY, GUEST), GUEST])
    assert caught.value.code == "reflection"


def test_the_host_does_not_send_a_challenge_that_it_has_just_answered() -> None:
    with pytest.raises(handshake.AuthError) as caught:
        run(handshake.host_side(KEY, 2, HOST), [HOST])
    assert caught.value.code == "reflection"


def test_a_challenge_outstanding_in_one_session_is_not_answered_in_another() -> None:
    issued: set[bytes] = set()
    attacked = handshake.host_side(KEY, 2, HOST, issued)
    assert next(attacked) == Read(64)
    attacked.send(GUEST)
    assert next(attacked) == Send(HOST)
    with pytest.raises(handshake.AuthError) as caught:
        run(handshake.host_side(KEY, 2, bytes(64), issued), [HOST])
    assert caught.value.code == "reflection"
    attacked.close()
    assert issued == set(), "a session that ends takes its challenge back"


@pytest.mark.parametrize("auth", (1, 2, 3))
def test_without_a_key_nobody_is_authenticated(auth: int) -> None:
    for step in (handshake.guest_side(b"", auth, GUEST), handshake.host_side(b"", auth, HOST)):
        with pytest.raises(handshake.AuthError) as caught:
            run(step, [GUEST])
        assert caught.value.code == "no-key"


@given(wire.handshake_bytes, wire.handshake_bytes)
def test_noise_is_refused_with_a_wire_error(first: bytes, second: bytes) -> None:
    for step in (handshake.guest_side(KEY, 2, GUEST), handshake.host_side(KEY, 2, HOST)):
        with pytest.raises(WireError):
            run(step, [first, second])
