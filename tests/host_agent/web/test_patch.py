"""What a page is told: all at first, then what has changed and no more."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.web.patch import Scene, patch
from fencebus_schemas.status import EventKind, EventStatus, VmStatus
from tests.host_agent.web.theatre import status, vm

Worlds = st.dictionaries(st.integers(1, 8), st.sampled_from(("running", "off", "paused")))


def scene(states: dict[int, str], *numbers: int) -> Scene:
    events = tuple(EventStatus(number, 1.0, EventKind.VM_CHANGED, "x") for number in numbers)
    return Scene(status(vm(number, state=state) for number, state in states.items()), "", events)


def test_nothing_is_told_while_nothing_is_known() -> None:
    assert patch(Scene(), Scene(None, "no daemon")) is None


def test_the_first_is_whole_and_the_next_holds_what_is_new() -> None:
    first, second = scene({1: "running", 2: "running"}, 1, 2), scene({1: "running", 2: "off"}, 1, 2, 3)
    whole, part = patch(Scene(), first), patch(first, second)
    assert whole is not None
    assert part is not None
    assert (whole.whole, [each.state for each in whole.vms], whole.status.vms) == (True, ["running", "running"], ())
    assert (part.whole, [each.state for each in part.vms], part.gone) == (False, ["off"], ())
    assert [event.number for event in part.events] == [3]


def test_another_run_of_the_daemon_begins_anew_and_so_do_its_events() -> None:
    before, now = scene({1: "running"}, 8, 9), scene({1: "running"}, 1)
    assert now.status is not None
    again = patch(before, replace(now, status=replace(now.status, pid=1)))
    assert again is not None
    assert (again.whole, len(again.vms), [event.number for event in again.events]) == (True, 1, [1])
    counted_anew = patch(before, now)
    assert counted_anew is not None
    assert [event.number for event in counted_anew.events] == [1]


def test_trouble_is_told_with_what_was_last_known() -> None:
    before = scene({1: "running"})
    found = patch(before, replace(before, trouble="no answer"))
    assert found is not None
    assert (found.trouble, found.vms) == ("no answer", ())


@given(st.lists(Worlds, min_size=1, max_size=6))
def test_whoever_follows_the_patches_has_what_the_daemon_told_last(worlds: list[dict[int, str]]) -> None:
    page: dict[str, VmStatus] = {}
    shown = Scene()
    for states in worlds:
        now = scene(states)
        told = patch(shown, now)
        assert told is not None
        for uuid in told.gone:
            del page[uuid]
        page |= {each.uuid: each for each in told.vms}
        shown = now
    assert shown.status is not None
    assert page == {each.uuid: each for each in shown.status.vms}
