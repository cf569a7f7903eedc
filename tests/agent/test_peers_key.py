"""The proof that both sides of a direct link hold the hosts' key."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_agent.peers_key import MAGIC, Steps, callee, caller
from fencebus_schemas.digest import AuthError
from fencebus_schemas.handshake import Send

KNOWN = frozenset({"a", "c"})
OLD, NEW = b"the old key", b"the new key"


class Side:
    """One side, with what it has said and what it waits for."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.said, self.name = b"", ""
        self._heard, self._wanted = b"", 0
        self._on(None)

    def hear(self, data: bytes) -> None:
        """What the other side said."""
        self._heard += data
        while not self.name and len(self._heard) >= self._wanted:
            read, self._heard = self._heard[: self._wanted], self._heard[self._wanted :]
            self._on(read)

    def _on(self, read: bytes | None) -> None:
        try:
            step = next(self._steps) if read is None else self._steps.send(read)
            while isinstance(step, Send):
                self.said += step.data
                step = next(self._steps)
            self._wanted = step.length
        except StopIteration as ended:
            self.name = ended.value


def meet(one: Side, other: Side, *, at_once: int = 1000) -> tuple[str, str]:
    """The names that both learn, when so many bytes pass at once."""
    for _ in range(400):
        for speaker, hearer in ((one, other), (other, one)):
            passing, speaker.said = speaker.said[:at_once], speaker.said[at_once:]
            if passing:
                hearer.hear(passing)
    return one.name, other.name


@pytest.mark.parametrize("at_once", (1, 7, 1000))
def test_who_holds_the_key_is_known_by_name_on_both_sides(at_once: int) -> None:
    assert meet(Side(caller((NEW,), "a", "b")), Side(callee((NEW,), "b", KNOWN)), at_once=at_once) == ("b", "a")


@pytest.mark.parametrize(
    ("ours", "theirs"), (((OLD,), (NEW, OLD)), ((OLD, NEW), (NEW, OLD)), ((NEW, OLD), (OLD, NEW)), ((NEW, OLD), (NEW,)))
)
def test_keys_rotate_without_a_gap(ours: tuple[bytes, ...], theirs: tuple[bytes, ...]) -> None:
    assert meet(Side(caller(ours, "a", "b")), Side(callee(theirs, "b", KNOWN))) == ("b", "a")


@pytest.mark.parametrize(
    ("asking", "answering", "code"),
    (
        (caller((OLD,), "a", "b"), callee((NEW,), "b", KNOWN), "response"),
        (caller((NEW,), "a", "b"), callee((NEW,), "c", KNOWN), "response"),
        (caller((NEW,), "x", "b"), callee((NEW,), "b", KNOWN), "unknown"),
    ),
)
def test_another_key_another_host_and_a_host_of_no_list_are_refused(asking: Steps, answering: Steps, code: str) -> None:
    with pytest.raises(AuthError) as caught:
        meet(Side(asking), Side(answering))
    assert caught.value.code == code


def test_who_answers_without_the_key_is_found_out_too() -> None:
    asking, answering = Side(caller((NEW,), "a", "b")), Side(callee((NEW,), "b", KNOWN))
    answering.hear(asking.said)
    asking.said = b""
    asking.hear(answering.said)
    with pytest.raises(AuthError):
        asking.hear(bytes(32))


def test_no_proof_can_be_sent_back_to_who_made_it() -> None:
    asking = Side(caller((NEW,), "a", "b"))
    nonce = asking.said[len(MAGIC) :]
    asking.said = b""
    asking.hear(nonce)
    with pytest.raises(AuthError):
        asking.hear(asking.said[-32:])


@given(st.binary(min_size=48, max_size=200))
def test_a_stranger_learns_nothing_but_a_random_number(data: bytes) -> None:
    answering = Side(callee((NEW,), "b", KNOWN))
    with contextlib.suppress(AuthError):
        answering.hear(data)
    assert len(answering.said) in (0, 32)
    assert not answering.name
