"""Decides which routing keys the pattern of a topic binding covers, as AMQP's topic exchanges do.

Pure.  Words are parted by dots; ``*`` stands for exactly one word, ``#`` for any number of them, none included.
"""

from __future__ import annotations

from collections.abc import Sequence


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
