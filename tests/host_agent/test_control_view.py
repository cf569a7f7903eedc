"""Who has what, from what hosts say; and what has happened between two views."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.control_health import problems, worst
from fencebus_host.control_select import Order, Selection, select
from fencebus_host.control_view import View, Viewer, counts, vm_status
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord, VmState
from fencebus_schemas.status import (
    EventKind,
    FinishedFence,
    Health,
    HostState,
    HostStatus,
    PartStatus,
    PauseStatus,
    StateCount,
    VmStatus,
)

NOBODY = frozenset[str]()
INCARNATION = Incarnation("b", "m", "n")
HERE = HostStatus("a", HostState.HERE)
THERE = HostStatus("b", HostState.HEARD)


def said(host: str, state: VmState, number: int = 1, name: str = "") -> VmRecord:
    uuid = Uuid(f"{number:08d}-0000-0000-0000-000000000000")
    return VmRecord(uuid, name or f"vm{number}", state, HostId(host), INCARNATION)


@pytest.mark.parametrize(
    ("states", "state", "owner", "troubles"),
    (
        ({"a": VmState.RUNNING, "b": VmState.OFF}, "running", "a", ()),
        ({"a": VmState.OFF, "b": VmState.OFF}, "off", None, ()),
        ({"a": VmState.RUNNING, "b": VmState.INCOMING}, "running", "a", ("incoming",)),
        ({"a": VmState.RUNNING, "b": VmState.RUNNING}, "running", None, ("conflict",)),
        ({"a": VmState.SAVED, "b": VmState.PAUSED}, "paused", None, ("conflict",)),
        ({"a": VmState.UNKNOWN}, "unknown", None, ("unknown",)),
        ({"a": VmState.UNKNOWN, "b": VmState.RUNNING}, "running", "b", ()),
    ),
)
def test_the_greatest_claim_counts_and_what_is_odd_is_marked(
    states: dict[str, VmState], state: str, owner: str | None, troubles: tuple[str, ...]
) -> None:
    found = vm_status([said(host, each) for host, each in states.items()], NOBODY)
    assert (found.state, found.owner, found.troubles) == (state, owner, troubles)
    assert [claim.host for claim in found.claims] == list(states)


def test_the_word_of_a_silent_host_is_marked_as_old() -> None:
    found = vm_status([said("a", VmState.RUNNING)], frozenset({"a"}))
    assert found.troubles == ("silent-owner",)
    assert [claim.silent for claim in found.claims] == [True]


def kinds(viewer: Viewer, at: float, *records: VmRecord, hosts: tuple[HostStatus, ...] = (HERE, THERE)) -> list[str]:
    return [f"{event.kind.value} {event.text}" for event in viewer.look(records, hosts, at)]


def test_the_first_look_is_no_news_and_each_later_change_is() -> None:
    viewer = Viewer()
    one, two = said("a", VmState.RUNNING), said("a", VmState.OFF, 2)
    assert kinds(viewer, 1, one, two) == []
    assert kinds(viewer, 2, one, two) == []
    assert kinds(viewer, 3, replace(one, state=VmState.OFF)) == [
        "vm-changed vm1: running -> off, owner a -> nobody",
        "vm-gone vm2 is defined nowhere any more",
    ]
    assert kinds(viewer, 4, said("b", VmState.RUNNING)) == ["vm-changed vm1: off -> running, owner nobody -> b"]
    assert kinds(viewer, 5, said("b", VmState.RUNNING, name="new"), said("a", VmState.RUNNING, 3)) == [
        "vm-changed new: was called vm1",
        "vm-appeared vm3 is running on a",
    ]


def test_a_state_is_known_since_it_was_first_seen_and_not_at_all_if_it_was_so_at_the_start() -> None:
    viewer = Viewer()
    viewer.look([said("a", VmState.RUNNING)], (HERE,), 1)
    assert [vm.since for vm in viewer.view.vms.values()] == [None]
    viewer.look([said("a", VmState.OFF)], (HERE,), 2)
    viewer.look([replace(said("a", VmState.OFF), cluster="blue")], (HERE,), 3)
    (vm,) = viewer.view.vms.values()
    assert (vm.since, vm.cluster) == (2, "blue")


def test_hosts_come_fall_silent_start_anew_and_go() -> None:
    viewer = Viewer()
    kinds(viewer, 1, hosts=(HERE,))
    first, silent = replace(THERE, incarnation="1"), replace(THERE, state=HostState.SILENT, incarnation="1")
    vm = said("b", VmState.RUNNING)
    assert kinds(viewer, 2, vm, hosts=(HERE, first))[0] == "host-joined b is a member (heard)"
    assert kinds(viewer, 3, vm, hosts=(HERE, silent)) == [
        "host-changed b: heard -> silent",
        "vm-changed vm1: marks none -> silent-owner",
    ]
    kinds(viewer, 4, vm, hosts=(HERE, first))
    assert kinds(viewer, 5, vm, hosts=(HERE, replace(first, incarnation="2"))) == [
        "host-changed b: its daemon was started anew"
    ]
    assert kinds(viewer, 6, hosts=(HERE,))[0] == "host-left b is no member any more"


def test_what_has_not_changed_is_not_made_anew() -> None:
    viewer = Viewer()
    viewer.look([said("a", VmState.RUNNING)], (HERE,), 1)
    (before,) = viewer.view.vms.values()
    viewer.look([said("a", VmState.RUNNING)], (HERE,), 2)
    assert next(iter(viewer.view.vms.values())) is before


STATES = st.sampled_from(VmState)
PICTURES = st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), STATES)


@given(st.lists(PICTURES, min_size=1, max_size=5))
def test_views_one_after_the_other_say_what_one_alone_would_say(
    pictures: list[dict[tuple[str, int], VmState]],
) -> None:
    viewer = Viewer()
    for at, picture in enumerate(pictures):
        records = [said(host, state, number) for (host, number), state in picture.items()]
        viewer.look(records, (HERE, THERE), at)
        alone = Viewer()
        alone.look(records, (HERE, THERE), at)
        assert {uuid: replace(vm, since=None) for uuid, vm in viewer.view.vms.items()} == alone.view.vms
        assert viewer.view.hosts == alone.view.hosts
        assert sum(host.vms for host in viewer.view.hosts.values()) == len(records)


def test_vms_are_counted_by_state() -> None:
    vms = [vm_status([said("a", state, number)], NOBODY) for number, state in enumerate(3 * [VmState.OFF])]
    running = vm_status([said("a", VmState.RUNNING, 9)], NOBODY)
    assert counts([*vms, running]) == (StateCount("running", 1), StateCount("off", 3))


# -- which are told ----------


def vms() -> list[VmStatus]:
    return [vm_status([said("a" if number % 2 else "b", VmState.RUNNING, number)], NOBODY) for number in range(1, 13)]


def test_names_sort_as_people_count_and_a_page_is_cut_out() -> None:
    order, known = Order(), {vm.uuid: vm for vm in vms()}
    ordered = order.of(known)
    assert [vm.name for vm in select(ordered, Selection(first=8, most=3))] == ["vm9", "vm10", "vm11"]
    assert len(select(ordered, Selection())) == 12
    assert order.of(known) is ordered, "sorted once as long as nothing changes"
    del known[ordered[0].uuid]
    assert order.of(dict(known)) == ordered[1:]


def test_vms_are_chosen_by_name_pattern_uuid_host_cluster_and_trouble() -> None:
    def names(selection: Selection) -> list[str]:
        return [vm.name for vm in select(vms(), selection)]

    assert names(Selection(("vm1",))) == ["vm1"]
    assert names(Selection(("vm1*", "vm2"))) == ["vm1", "vm2", "vm10", "vm11", "vm12"]
    assert names(Selection(("00000012",))) == ["vm12"]
    assert names(Selection(("vm1?",), host="b")) == ["vm10", "vm12"]
    assert names(Selection(cluster="blue")) == names(Selection(problems=True)) == []


# -- how it stands ----------


def fence(target: str, ok: bool) -> FinishedFence:
    return FinishedFence("id", 1.0, "off", target, "s", "tcp", ok, "not-proven", "", 1.0)


def test_the_worst_trouble_is_the_health_and_stands_first() -> None:
    viewer = Viewer()
    silent, twin = HostStatus("b", HostState.SILENT, heard_ago=22.0), HostStatus("c", HostState.CONFLICT)
    records = [said("a", VmState.RUNNING), said("b", VmState.RUNNING)]
    viewer.look(records, (HERE, silent, twin, HostStatus("d", HostState.UNHEARD)), 1)
    parts = [PartStatus("router"), PartStatus("listener tcp", "port in use")]
    found = problems(viewer.view, parts, PauseStatus(1.0, "upgrade"), [fence("vm1", False), fence("vm1", True)])
    assert [one.code for one in found] == [
        *("paused", "part-failed", "host-silent", "host-conflict", "vm-conflict"),
        *("host-silent", "fence-failed"),
    ]
    assert worst(found) is Health.ERROR
    assert "22 s; 1 VMs" in found[2].text


def test_a_failure_that_was_made_good_and_a_dead_host_that_is_proven_so_are_no_trouble() -> None:
    view = View({}, {"b": HostStatus("b", HostState.SILENT, proof="operator")})
    found = problems(view, [], None, [fence("vm1", True), fence("VM1", False)])
    assert found == ()
    assert worst(found) is Health.OK
    assert worst(problems(view, [], None, [fence("vm1", False)])) is Health.WARN


def test_many_conflicts_are_counted() -> None:
    viewer = Viewer()
    viewer.look([said(host, VmState.RUNNING, number) for number in range(1, 9) for host in "ab"], (HERE, THERE), 1)
    (found,) = problems(viewer.view, [], None, [])
    assert found.text == "several hosts claim vm1, vm2, vm3, vm4, vm5 and 3 more"
    assert EventKind.VM_CHANGED.value == "vm-changed"


def test_a_host_of_which_nothing_is_known_is_told_once() -> None:
    twins = {"b": HostStatus("b", HostState.CONFLICT)}
    found = problems(View({}, twins, ("b", "c")), [], None, [])
    assert [one.code for one in found] == ["host-conflict", "not-synced"]
    assert found[1].text == "which VMs c may have is not known yet: VMs are found by UUID alone"
    assert [one.code for one in problems(View({}, twins, ("b",)), [], None, [])] == ["host-conflict"]
