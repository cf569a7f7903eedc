"""Reads the frames out of a browser's trace: how long after the last one each was drawn, and what was computed for it.

A frame's length by the clock is the page's own only where nothing else wants the processors: tests that run beside it,
or whoever shares the machine, stretch it.  What its threads have computed is the page's own always.  They work as on a
belt (while one draws a frame, another lays out the next), so that on an idle machine a frame follows the one before as
soon as the busiest of them lets it.  Both are told.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from tests.chromium import Values

CATEGORIES = ("toplevel", "disabled-by-default-devtools.timeline.frame", "__metadata")
TASKS = frozenset(("RunTask", "ThreadControllerImpl::RunTask", "ThreadPool_RunTask"))
"""The outermost pieces of work of any thread."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One drawn frame, in milliseconds."""

    length: float
    """Since the frame before it was drawn, by the clock."""
    computed: float
    """By the busiest thread of the page's process, meanwhile."""


def frames(told: list[Values]) -> list[Frame]:
    """All frames of the process that drew, but for the first one; ``told`` is what the browser has said."""
    events = [each for one in told if one.get("method") == "Tracing.dataCollected" for each in _traced(one)]
    drawn = sorted(float(str(each["ts"])) for each in events if each["name"] == "DrawFrame")
    drawing = {each["pid"] for each in events if each["name"] == "DrawFrame"}
    assert len(drawing) == 1, "one page"
    computed: list[defaultdict[object, float]] = [defaultdict(float) for _ in range(len(drawn) + 1)]
    for each in events:
        if each["name"] in TASKS and each["pid"] in drawing and "tdur" in each:
            ended = float(str(each["ts"])) + float(str(each["dur"]))
            computed[bisect_left(drawn, ended)][each["tid"]] += float(str(each["tdur"])) / 1000
    lengths = [(after - before) / 1000 for before, after in pairwise(drawn)]
    busiest = [max(each.values(), default=0.0) for each in computed[1:-1]]
    return [Frame(*each) for each in zip(lengths, busiest, strict=True)]


def _traced(told: Values) -> list[Values]:
    found: list[Values] = json.loads(json.dumps(told["params"]))["value"]
    return found
