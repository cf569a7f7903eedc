"""Decides how long a client waits before it knocks again."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
"""Seconds between two rounds in which nobody took us in."""
SOUND = 1.0
"""Seconds after which a connection that ends had been good: the next one is tried at once."""


def pauses() -> Iterator[float]:
    """Longer each time up to a limit, and never the same for all hosts."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(2 * pause, LONGEST_PAUSE)
