"""Which plug a guest's word stands for, and what never reaches an agent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.fence_agent.contract import SEPARATOR, Power
from fencebus_host.routers.fence_agent.listing import read_list
from fencebus_host.routers.fence_agent.plugs import Plug, derived_uuid, matching, may_be_listed, why_bad, with_power
from fencebus_schemas.model import as_uuid

UUID = "6a2d1f0e-1111-2222-3333-444455556666"


def plug(number: str, name: str = "") -> Plug:
    return Plug(derived_uuid("p", number), name or f"vm{number}", number)


def test_a_word_stands_for_a_vm_by_uuid_name_or_plug_and_exactly() -> None:
    plugs = [plug("1"), plug("2")]
    assert matching(plugs, "vm1") == [plugs[0]]
    assert matching(plugs, "2") == [plugs[1]]
    assert matching(plugs, str(plugs[0].vm).upper()) == [plugs[0]]
    assert matching(plugs, "VM1") == []
    assert matching(plugs, "vm1,vm2") == []


def test_a_name_that_is_another_vms_plug_is_ambiguous() -> None:
    assert len(matching([plug("1", "2"), plug("2", "b")], "2")) == 2


def test_a_name_that_looks_like_a_uuid_is_never_taken_for_one() -> None:
    assert matching([plug("1", UUID)], UUID) == []


@given(st.text())
def test_whatever_a_guest_sends_the_agent_is_told_a_plug_of_the_map_or_nothing(target: str) -> None:
    plugs = [plug("1"), plug("2")]
    assert {each.plug for each in matching(plugs, target)} <= {"1", "2"}


@pytest.mark.parametrize(
    "bad", ("", "a,b", "a\nb", "a;b", "$(x)", "`x`", 'a"b', " a", "a ", "-a", "#a", "a" * 256, "*")
)
def test_a_plug_that_could_be_two_or_a_command_is_refused(bad: str) -> None:
    assert why_bad(bad)
    assert not may_be_listed(bad)


@pytest.mark.parametrize("good", ("100", "node1", UUID, "/DC/vm/a", "a@b", "[ds] a/a.vmx", "vm 7"))
def test_an_ordinary_plug_is_taken(good: str) -> None:
    assert why_bad(good) == ""


def test_a_plug_has_the_same_uuid_each_time_and_another_in_another_place() -> None:
    assert derived_uuid("a", "1") == derived_uuid("a", "1") != derived_uuid("b", "1")
    assert derived_uuid("a", UUID.upper()) == UUID
    assert as_uuid(derived_uuid("a", "1"))


def test_a_list_tells_the_power_of_mapped_vms_and_adds_and_renames_nothing() -> None:
    listed = [replace(plug("1", "theirs"), power=Power.OFF), replace(plug("3"), power=Power.ON)]
    one, two = with_power([plug("1", "mine"), plug("2")], listed)
    assert (one.name, one.power) == ("mine", Power.OFF)
    assert two == plug("2")


# -- lists ----------


def test_a_list_is_read_with_either_separator() -> None:
    text = f"N/A\nNOTICE: List option is not working\n\n1{SEPARATOR}one\n2,two\n3,\n"
    assert [(each.plug, each.name) for each in read_list(text, "p", False).plugs] == [
        ("1", "one"),
        ("2", "two"),
        ("3", "3"),
    ]


def test_a_list_with_status_is_read() -> None:
    text = "1,one,ON\n2,two,OFF\n3,three,UNKNOWN\n4,four,odd\n"
    powers = [each.power for each in read_list(text, "p", True).plugs]
    assert powers == [Power.ON, Power.OFF, Power.UNKNOWN, Power.UNKNOWN]


def test_the_list_of_cs_fence_virt_is_read_with_its_uuids() -> None:
    (found,) = read_list(f"node1                            {UUID} on\n", "p", True).plugs
    assert (found.vm, found.name, found.plug, found.power) == (UUID, "node1", "node1", Power.ON)


def test_an_alias_that_is_a_uuid_is_the_vms() -> None:
    (found,) = read_list(f"node1,{UUID}\n", "p", False).plugs
    assert (found.vm, found.name) == (UUID, "node1")


@pytest.mark.parametrize(
    "line",
    (
        "a,b,c",  # a comma in a name: whose?
        f"a{SEPARATOR}b{SEPARATOR}c",
        "rm -rf,x",
        "a;b,x",
        "-x,y",
        "words of a library",
    ),
)
def test_a_line_that_can_be_read_in_two_ways_is_left_out(line: str) -> None:
    listing = read_list(f"{line}\n1,one\n", "p", False)
    assert [each.plug for each in listing.plugs] == ["1"]
    assert listing.left_out == (line,)


def test_a_plug_that_is_listed_twice_is_left_out_both_times() -> None:
    listing = read_list("1,one\n1,other\n2,two\n", "p", False)
    assert [each.plug for each in listing.plugs] == ["2"]
    assert len(listing.left_out) == 2


@given(st.text(), st.booleans())
def test_no_list_whatever_breaks_the_reading_or_brings_a_plug_that_is_two(text: str, with_status: bool) -> None:
    for each in read_list(text, "p", with_status).plugs:
        assert may_be_listed(each.plug)
        assert "," not in each.plug
