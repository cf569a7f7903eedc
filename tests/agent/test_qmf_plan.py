"""When an agent says what unasked."""

from __future__ import annotations

from fencebus_agent.qmf_plan import Plan

FOREVER = float("inf")


def said(plan: Plan, until: float) -> list[tuple[float, str]]:
    """What is said at which times, if the plan is looked at whenever it says."""
    words = []
    while plan.next <= until:
        now = plan.next
        words += [(now, "beat")] if plan.take_heartbeat(now) else []
        words += [(now, "all")] if plan.take_everything(now) else []
    return words


def test_before_there_is_a_bus_nothing_is_due() -> None:
    plan = Plan(60)
    assert plan.next == FOREVER
    assert not plan.take_heartbeat(1.0)
    assert not plan.take_everything(1.0)


def test_everything_is_told_three_times_after_connecting_and_not_with_each_heartbeat() -> None:
    plan = Plan(60)
    plan.connected(100.0)
    told = [(100.0, "beat"), (100.5, "all"), (102.0, "all"), (105.0, "all"), (160.0, "beat"), (220.0, "beat")]
    assert said(plan, 230.0) == told


def test_whoever_looks_is_told_three_times() -> None:
    plan = Plan(60)
    plan.looked(10.0)
    assert said(plan, 20.0) == [(10.5, "all"), (12.0, "all"), (15.0, "all")]


def test_those_who_look_at_once_are_told_together() -> None:
    plan = Plan(60)
    for at in range(10):
        plan.looked(10.0 + at / 100)
    assert len(said(plan, 20.0)) == 3


def test_whoever_looks_all_the_time_makes_nobody_talk_all_the_time() -> None:
    plan = Plan(60)
    words = []
    for step in range(1000):
        plan.looked(step / 100)
        words += said(plan, step / 100)
    assert len(words) <= 21


def test_what_was_due_when_the_bus_went_is_not_said() -> None:
    plan = Plan(60)
    plan.connected(1.0)
    plan.lost()
    assert plan.next == FOREVER
    plan.connected(2.0)
    assert plan.next == 2.0
