"""Decides which messages a subscription covers, by exchange and routing key, as AMQP's exchanges do.

Pure.  In a topic exchange words are parted by dots; ``*`` stands for exactly one word, ``#`` for any number of them,
none included.
"""

from __future__ import annotations

from collections.abc import Sequence

from fencebus_agent.bus import Address

TOPIC, DIRECT = "topic", "direct"


def exchange_type(exchange: str) -> str:
    """The type of an exchange of ours, which its name tells."""
    return TOPIC if exchange.endswith(".topic") else DIRECT


def binding_covers(binding: Address, to: Address) -> bool:
    """True if what is sent to ``to`` is for a subscription to ``binding``."""
    if binding.exchange != to.exchange:
        return False
    return covers(binding.key, to.key) if exchange_type(binding.exchange) == TOPIC else binding.key == to.key


def covers(pattern: str, key: str) -> bool:
    """True if a binding with ``pattern`` gets what is sent to ``key``."""
    return _covers(pattern.split("."), key.split("."))


def _covers(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """One row of a table a word: which parts of the pattern can have been used up (no backtracking, S11)."""
    reached = _skip_hashes(pattern, {0})
    for word in words:
        onward = {at + 1 for at in reached if at < len(pattern) and pattern[at] in ("*", word)}
        stayed = {at for at in reached if at < len(pattern) and pattern[at] == "#"}
        reached = _skip_hashes(pattern, onward | stayed)
    return len(pattern) in reached


def _skip_hashes(pattern: Sequence[str], reached: set[int]) -> set[int]:
    """With each place before a ``#`` also the one after it."""
    for at, part in enumerate(pattern):
        if part == "#" and at in reached:
            reached = reached | {at + 1}
    return reached
