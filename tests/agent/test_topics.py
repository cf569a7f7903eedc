"""Topic patterns, against the definition written down as plainly as can be."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fencebus_agent.bus import Address
from fencebus_agent.topics import binding_covers, covers, exchange_type

words = st.lists(st.sampled_from(("a", "b", "")), min_size=1, max_size=6).map(".".join)
patterns = st.lists(st.sampled_from(("a", "b", "", "*", "#")), min_size=1, max_size=6).map(".".join)


def by_definition(pattern: list[str], key: list[str]) -> bool:
    """As the AMQP specification says it."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(by_definition(pattern[1:], key[start:]) for start in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and by_definition(pattern[1:], key[1:])


@given(patterns, words)
def test_a_pattern_covers_what_the_definition_says(pattern: str, key: str) -> None:
    assert covers(pattern, key) is by_definition(pattern.split("."), key.split("."))


@pytest.mark.parametrize(
    ("pattern", "key", "covered"),
    (
        ("agent.ind.heartbeat.#", "agent.ind.heartbeat.fencebus.libvirt-qmf.host1", True),
        ("agent.ind.event.*.*.*.#", "agent.ind.event.org_libvirt.domainLifecycle.info.fencebus", True),
        ("agent.ind.event.*.*.*.#", "agent.ind.event.org_libvirt", False),
        ("console.#", "console", True),
        ("#", "", True),
        ("*", "two.words", False),
        ("agent", "agentx", False),
    ),
)
def test_the_patterns_that_qmf_uses(pattern: str, key: str, covered: bool) -> None:
    assert covers(pattern, key) is covered


def test_a_hostile_pattern_costs_no_more_than_its_length_times_the_keys() -> None:
    assert not covers(".".join(["#", "a"] * 60), ".".join(["a"] * 120 + ["b"]))


def test_a_key_is_a_pattern_in_a_topic_exchange_alone() -> None:
    assert binding_covers(Address("qmf.default.topic", "agent.#"), Address("qmf.default.topic", "agent.ind"))
    assert not binding_covers(Address("qmf.east.topic", "agent.#"), Address("qmf.default.topic", "agent.ind"))
    assert not binding_covers(Address("qmf.default.direct", "agent.#"), Address("qmf.default.direct", "agent.ind"))
    assert exchange_type("qmf.default.topic") == "topic"
    assert exchange_type("qmf.default.direct") == exchange_type("") == "direct"
