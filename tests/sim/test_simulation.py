"""2,000 schedules break no rule, calm ones succeed, and a seed is the same schedule each time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sim.generating import Mode, generate
from tests.sim.running import Tally, run_seeds
from tests.sim.shrinking import breaks, shrink, story
from tests.sim.simulation import tell

SHARE = 100
LEAST_OK = {Mode.DEFAULT: 0.65, Mode.DENSE: 0.475, Mode.DEADLY: 0.42}
"""The rate of successes may not fall from one change to the next without a reason.  Of all 1,000 it was 0.710 and 0.532
when this was written down; the worst hundred had 0.669 and 0.490.
"""


@contextmanager
def unmeasured() -> Iterator[None]:
    """Coverage of what the schedules run is not the point of them, and doubles their time."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def told(tally: Tally) -> str:
    """The first violation as a story."""
    if not tally.violations:
        return ""
    plan, text = tally.violations[0]
    return text + "\n" + story(shrink(plan, breaks(text[9:].split(":", 1)[0].strip())))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("mode", "first"),
    (
        *((mode, first) for mode in (Mode.DEFAULT, Mode.DENSE) for first in range(0, 1000, SHARE)),
        *((Mode.DEADLY, first) for first in range(0, 400, SHARE)),
    ),
)
def test_no_schedule_breaks_a_rule(mode: Mode, first: int) -> None:
    with unmeasured():
        tally = run_seeds(range(first, first + SHARE), mode)
        assert tally.violations == [], told(tally)
    assert tally.ok_rate >= LEAST_OK[mode]
    assert tally.events >= 200 * SHARE


def test_a_schedule_has_at_least_three_faults_and_three_to_seven_hosts() -> None:
    for seed in range(200):
        plan = generate(seed)
        assert len(plan.faults) >= 2
        assert sum(each.kind in plan.faults for each in plan.happenings) >= 3
        assert 3 <= plan.hosts <= 7
        assert 1 <= len(plan.vms) <= 3


def test_with_no_fault_every_fence_succeeds() -> None:
    tally = run_seeds(range(60), Mode.CALM)
    assert tally.violations == []
    assert tally.failed == [], "\n".join(tell(generate(tally.failed[0], Mode.CALM)))


def test_a_seed_is_the_same_schedule_whatever_the_hash_seed() -> None:
    program = (
        "from tests.sim.generating import generate; from tests.sim.simulation import tell; import hashlib;"
        "print(hashlib.sha256('\\n'.join(l for s in range(3) for l in tell(generate(s))).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout.strip())
    here = "\n".join(line for seed in range(3) for line in tell(generate(seed)))
    assert digests == {hashlib.sha256(here.encode()).hexdigest()}


def test_a_schedule_is_told_in_words() -> None:
    text = story(generate(5))
    assert "asks host" in text
    assert "{" not in text


def test_requests_that_waited_their_turn_may_be_over_in_the_instant_in_which_it_comes() -> None:
    tally = run_seeds([135], Mode.DEADLY)
    assert (tally.seeds, tally.violations) == (1, [])
