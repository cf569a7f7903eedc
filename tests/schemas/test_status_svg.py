"""The picture of owners: what stands where, marks that need no colour, hostile names, limits."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_schemas.status import Claim, Health, HostState, HostStatus, Status, VmStatus
from fencebus_schemas.status_svg import COLUMNS, DRAWN, NAMED, STYLE, owners_svg
from tests.schemas.statuses import STATUS

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[str, str, str]
"""Its frame, its name, its words."""


def told(hosts: tuple[HostStatus, ...], vms: tuple[VmStatus, ...], known: int | None = None) -> Status:
    """A state with these."""
    number = len(vms) if known is None else known
    return Status(1, "h1", 7, "1.0", None, "qmf", 1e9, 1e9, Health.OK, hosts=hosts, vms=vms, vms_known=number)


def vm(name: str, *claims: Claim, owner: str | None = None, troubles: tuple[str, ...] = ()) -> VmStatus:
    """A VM that runs if anybody says so."""
    return VmStatus(f"uuid-of-{name}", name, claims[0].state if claims else "off", owner, claims, troubles=troubles)


def vms_on(host: str, number: int, troubles: tuple[str, ...] = ()) -> tuple[VmStatus, ...]:
    return tuple(vm(f"vm{each}", Claim(host, "running"), owner=host, troubles=troubles) for each in range(number))


def root_of(status: Status) -> ET.Element:
    """The picture, read as XML."""
    picture = ET.fromstring(owners_svg(status)).find(f"{SVG}svg")
    assert picture is not None
    return picture


def boxes(status: Status) -> list[Box]:
    """Everything that has a frame, in the order in which it is drawn."""
    groups = [box.find(f"{SVG}g") for box in root_of(status).findall(f"{SVG}svg")]
    found = [
        (group, [text.text or "" for text in group.findall(f"{SVG}text")]) for group in groups if group is not None
    ]
    return [(group.get("class", ""), name, words) for group, (name, words) in found]


def caption(status: Status) -> str:
    return root_of(status).findtext(f"{SVG}text") or ""


def described(status: Status) -> str:
    return root_of(status).findtext(f"{SVG}desc") or ""


A, B = HostStatus("a", HostState.HERE), HostStatus("b", HostState.HEARD)


def test_each_host_stands_before_the_vms_that_it_claims() -> None:
    status = told((A, B), (*vms_on("b", 2), vm("saved1", Claim("a", "saved"), owner="a")))
    assert boxes(status) == [
        ("good", "a", "◆ 1 VM, here"),
        ("good", "saved1", "▣ saved"),
        ("good", "b", "● 2 VMs, heard"),
        ("good", "vm0", "● running"),
        ("good", "vm1", "● running"),
    ]
    assert caption(status) == "2 hosts, 3 VMs"
    assert described(status) == "2 hosts, 3 VMs. Nothing is marked"


def test_a_conflict_is_drawn_at_both_hosts() -> None:
    torn = vm("torn", Claim("a", "running"), Claim("b", "running", silent=True), troubles=("conflict", "silent-owner"))
    found = boxes(told((A, B), (torn,)))
    assert found[1] == ("bad", "torn", "● running, ✖ conflict")
    assert found[3] == ("bad stale", "torn", "● running, ✖ conflict, ▲ as last heard")
    assert described(told((A, B), (torn,))).count("torn") == 1


def test_a_migration_is_drawn_at_both_ends() -> None:
    moving = vm("moving", Claim("a", "running"), Claim("b", "incoming"), owner="a", troubles=("incoming",))
    found = boxes(told((A, B), (moving,)))
    assert found[1] == ("moving", "moving", "● running, ⇣ migrating")
    assert found[3] == ("moving", "moving", "⇣ incoming")


@pytest.mark.parametrize(
    ("host", "box"),
    (
        (HostStatus("a", HostState.SILENT, heard_ago=22.0), ("stale", "a", "▲ 0 VMs, silent for 22 s")),
        (HostStatus("a", HostState.SILENT, proof="operator"), ("stale", "a", "▲ 0 VMs, silent, dead says operator")),
        (HostStatus("a", HostState.UNHEARD), ("stale", "a", "▲ 0 VMs, not heard yet")),
        (HostStatus("a", HostState.CONFLICT, heard_ago=1.0), ("bad", "a", "✖ 0 VMs, two machines")),
    ),
    ids=lambda each: "" if isinstance(each, tuple) else each.state.value,
)
def test_a_host_that_cannot_be_relied_upon_is_marked(host: HostStatus, box: Box) -> None:
    assert boxes(told((host,), ())) == [box]
    assert f"Marked: a: {box[2]}" in described(told((host,), ()))


def test_a_vm_of_a_silent_host_is_as_last_heard_and_so_are_its_lines() -> None:
    silent = HostStatus("a", HostState.SILENT, heard_ago=22.0)
    claimed = vm("vm1", Claim("a", "running", silent=True), owner="a", troubles=("silent-owner",))
    by_owner = vm("vm2", Claim("a", "running"), owner="a", troubles=("silent-owner",))
    status = told((silent,), (claimed, by_owner))
    assert [each[0] for each in boxes(status)] == ["stale"] * 3
    assert boxes(status)[1][2] == boxes(status)[2][2] == "● running, ▲ as last heard"
    lines = root_of(status).find(f"{SVG}g")
    assert lines is not None
    assert lines.get("class") == "stale"


def test_a_host_that_is_no_member_is_drawn_because_it_claims_something() -> None:
    assert boxes(told((), vms_on("gone", 1)))[0] == ("bad", "gone", "✖ 1 VM, no member")


def test_what_no_host_claims_stands_last_and_is_called_off_only_if_it_is() -> None:
    off = vm("off1", Claim("a", "off"))
    lost = replace(vm("lost"), state="unknown", troubles=("unknown",))
    assert boxes(told((A,), (off, lost)))[1:] == [
        ("good", "on no host", "2 VMs"),
        ("good", "off1", "○ off"),
        ("bad", "lost", "? unknown"),
    ]


def test_an_owner_without_a_claim_is_believed_and_a_mark_that_came_later_is_shown() -> None:
    owned = replace(vm("owned", owner="a"), state="running", troubles=("haunted",))
    assert boxes(told((A,), (owned,)))[1] == ("good", "owned", "● running, ▲ haunted")
    assert "owned" in described(told((A,), (owned,)))


def test_no_host_and_no_vm_make_a_picture_that_says_so() -> None:
    assert boxes(told((), ())) == []
    assert caption(told((), ())) == "0 hosts, 0 VMs"


def test_a_choice_of_vms_is_not_taken_for_all() -> None:
    assert caption(told((A,), vms_on("a", 1), known=10)) == "1 host, 1 of 10 VMs"


def test_the_picture_has_a_role_a_title_and_a_description() -> None:
    picture = root_of(STATUS)
    assert picture.get("role") == "img"
    names = [picture.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert [each.get("id") for each in names if each is not None] == picture.get("aria-labelledby", "").split()
    assert described(STATUS).startswith("3 hosts, 2 of 10 VMs. Marked: ")


@given(st.text(max_size=50), st.text(max_size=50))
def test_no_name_breaks_the_picture(name: str, host: str) -> None:
    status = told((HostStatus(host, HostState.HERE, proof=name),), (vm(name, Claim(host, name), troubles=(name,)),))
    assert len(boxes(status)) >= 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]", owners_svg(replace(status, host=host)))


def test_a_hostile_name_stays_text_and_a_long_one_is_whole_where_one_points() -> None:
    hostile = "<script>&\"'" + "x" * 60
    status = told((A,), (vm(hostile, Claim("a", "running"), owner="a"),))
    assert "<script" not in owners_svg(status)
    shown = boxes(status)[1][1]
    assert shown.startswith("<script>&\"'x")
    assert shown.endswith("…")
    assert len(shown) == 32
    assert [each.text for each in root_of(status).iter(f"{SVG}title")][2] == f"{hostile}\n● running\nuuid-of-{hostile}"


def test_boxes_do_not_lie_upon_each_other_and_the_picture_holds_all() -> None:
    status = told((A, B), (*vms_on("a", COLUMNS * 3 + 1), *vms_on("b", 1)))
    drawn = root_of(status).findall(f"{SVG}svg")
    corners = {(int(each.get("x", "")), int(each.get("y", ""))) for each in drawn}
    assert len(corners) == len(drawn) == COLUMNS * 3 + 4
    width, height = (int(each) for each in root_of(status).get("viewBox", "").split()[2:])
    for each in drawn:
        assert int(each.get("x", "")) + int(each.get("width", "")) <= width
        assert int(each.get("y", "")) + int(each.get("height", "")) <= height


def test_of_too_many_vms_only_those_with_marks_are_drawn_and_hosts_have_counts() -> None:
    torn = vm("torn", Claim("a", "running"), Claim("b", "running"), troubles=("conflict",))
    assert len(boxes(told((A, B), vms_on("a", DRAWN)))) == DRAWN + 2
    status = told((A, B), (*vms_on("a", DRAWN), torn))
    assert [each[1:] for each in boxes(status)] == [
        ("a", f"◆ {DRAWN + 1} VMs, here"),
        ("torn", "● running, ✖ conflict"),
        ("b", "● 1 VM, heard"),
        ("torn", "● running, ✖ conflict"),
    ]
    assert caption(status).endswith(f"more than {DRAWN}: only VMs with marks are drawn, hosts have counts")


def test_of_too_many_marks_none_is_drawn_and_some_are_named() -> None:
    status = told((A,), vms_on("a", DRAWN + 1, ("incoming",)))
    assert boxes(status) == [("good", "a", f"◆ {DRAWN + 1} VMs, here")]
    assert caption(status).endswith(f"more than {DRAWN} with marks: no VM is drawn, hosts have counts")
    assert described(status).endswith(f"; and {DRAWN + 1 - NAMED} more")


def test_of_too_many_hosts_those_with_marks_are_drawn() -> None:
    hosts = tuple(HostStatus(f"h{number}", HostState.HEARD) for number in range(DRAWN))
    status = told((*hosts, HostStatus("last", HostState.SILENT)), ())
    assert boxes(status)[0][1] == "last"
    assert len(boxes(status)) == DRAWN
    assert caption(status) == f"{DRAWN + 1} hosts, 0 VMs; 1 more host not drawn"


def test_every_frame_has_a_shape_of_its_own_and_no_element_a_style() -> None:
    for look in ("stale", "bad", "moving"):
        assert re.search(rf"\.{look} rect\{{[^}}]*stroke-(width|dasharray)", STYLE), "not only a colour"
    assert "style=" not in owners_svg(STATUS), "a policy names styles by their hash"
