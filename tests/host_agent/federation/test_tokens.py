"""A command is as old as the token that it quotes, by the receiver's own clock."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.federation.member import REMEMBERED
from fencebus_host.federation.rules import LEASE
from fencebus_host.federation.tokens import LIFETIME, REISSUE, Fresh, Tokens
from tests.host_agent.federation.words import MINE, THEIRS, counting, quote


@given(st.floats(0, 100), st.floats(0, 200), st.floats(0, 200), st.floats(-5, 50))
def test_a_command_is_accepted_only_within_its_patience(born: float, later: float, patience: float, age: float) -> None:
    tokens = Tokens(MINE, counting())
    token = tokens.fresh(born)
    fresh = tokens.accept(quote(token, patience, age), born + later)
    in_time = (born + later) - born <= patience <= LIFETIME
    assert fresh == (Fresh(born + patience, born - max(age, 0.0)) if in_time else None)


def test_neither_a_strange_token_nor_another_incarnation_is_accepted() -> None:
    tokens = Tokens(MINE, counting())
    good = quote(tokens.fresh(1.0))
    assert tokens.accept(good, 1.5) is not None
    assert tokens.accept(replace(good, token="strange"), 1.5) is None
    assert tokens.accept(replace(good, token=""), 1.5) is None
    assert tokens.accept(replace(good, incarnation=THEIRS), 1.5) is None
    assert tokens.accept(replace(good, incarnation=None), 1.5) is None


def test_a_restarted_daemon_knows_no_token_of_before() -> None:
    token = Tokens(MINE, counting()).fresh(1.0)
    assert Tokens(MINE, lambda: "other").accept(quote(token), 1.1) is None


def test_one_token_serves_for_a_moment_and_old_ones_are_forgotten() -> None:
    tokens = Tokens(MINE, counting())
    first = tokens.newest(0.0)
    assert tokens.newest(REISSUE) == first
    assert tokens.newest(REISSUE * 2.5) != first
    tokens.newest(LIFETIME + 1)
    assert tokens.accept(quote(first, LIFETIME), LIFETIME) is None


def test_the_limits_are_those_of_the_design_and_belong_to_both() -> None:
    assert (REISSUE, LIFETIME, LEASE) == (0.1, REMEMBERED, 2.0)
    tokens = Tokens(MINE, counting())
    token = tokens.fresh(50.0)
    assert tokens.newest(50.05) == token
    assert tokens.accept(quote(token, LIFETIME), 51.0) is not None
    assert tokens.accept(quote(token, LIFETIME + 0.001), 51.0) is None


def test_a_token_lives_for_its_whole_lifetime() -> None:
    tokens = Tokens(MINE, counting())
    token = tokens.fresh(100.0)
    for now in (150.0, 100.0 + LIFETIME):
        tokens.fresh(now)
        assert tokens.accept(quote(token, LIFETIME), now) is not None
    tokens.fresh(100.5 + LIFETIME)
    assert token not in tokens._issued
