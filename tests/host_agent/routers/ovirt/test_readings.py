"""What a manager's elements say, in both dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.config.backends import ApiVersion
from fencebus_host.routers.ovirt import readings
from fencebus_host.routers.ovirt.markup import MarkupError, parse
from fencebus_host.routers.ovirt.readings import HostReading, VmReading
from fencebus_schemas.model import Uuid

ID = "00000000-0000-0000-0000-00000000000A"
START = "<start_time>2026-01-02T03:04:05.678+01:00</start_time>"
UUID = Uuid(ID.lower())
V4 = f'<vm href="/x" id="{ID}"><name>a b</name><status>up</status><host id="h"/>{START}</vm>'
V3 = f'<vm id="{ID}"><name>a b</name><status><state>UP</state><detail>x</detail></status><host id="h"/>{START}</vm>'


@pytest.mark.parametrize("text", (V4, V3))
def test_both_dialects_describe_the_same_vm(text: str) -> None:
    found = readings.vm(parse(text.encode()))
    assert found == VmReading(UUID, "a b", "up", "h", 1767319445.678)


def test_a_vm_may_say_nothing_but_its_id() -> None:
    assert readings.vm(parse(f'<vm id="{ID}"/>'.encode())) == VmReading(UUID, "", "")


@pytest.mark.parametrize("text", ("<vm/>", '<vm id="x"/>', f'<host id="{ID}"/>', "<html/>", f'<vms id="{ID}"/>'))
def test_what_is_no_vm_is_not_read_as_one(text: str) -> None:
    with pytest.raises(MarkupError):
        readings.vm(parse(text.encode()))


def test_a_list_holds_every_vm_also_one_without_a_state() -> None:
    found = readings.vms(parse(f'<vms>{V4}<vm id="{ID}"><name>b</name></vm>{V3}</vms>'.encode()))
    assert [each.status for each in found] == ["up", "", "up"]
    assert readings.vms(parse(b"<vms/>")) == ()
    with pytest.raises(MarkupError):
        readings.vms(parse(V4.encode()))


def test_the_entry_point_tells_the_version() -> None:
    v3 = b'<api><product_info><version major="3" minor="5"/></product_info></api>'
    v4 = b"<api><product_info><version><major>4</major></version></product_info></api>"
    assert readings.api_version(parse(v3)) is ApiVersion.V3
    assert readings.api_version(parse(v4)) is ApiVersion.V4
    for wrong in (b"<api/>", b"<html><product_info><version/></product_info></html>"):
        with pytest.raises(MarkupError):
            readings.api_version(parse(wrong))


def test_a_host_and_its_power_are_read() -> None:
    assert readings.host(parse(b"<host><name>h</name><status>up</status></host>")) == HostReading("h", "up")
    assert readings.host(parse(b"<host><status><state>up</state></status></host>")) == HostReading("", "up")
    with pytest.raises(MarkupError):
        readings.host(parse(b"<vm/>"))
    v4 = b"<action><power_management><status>off</status></power_management><status>complete</status></action>"
    v3 = b"<action><power_management><status><state>OFF</state></status></power_management></action>"
    assert readings.power_of(parse(v4)) == readings.power_of(parse(v3)) == "off"
    assert readings.power_of(parse(b"<action><status>off</status></action>")) == ""


@pytest.mark.parametrize(
    ("text", "said", "failed"),
    (
        ("<fault><reason>a</reason><detail>b</detail></fault>", "a: b", False),
        ("<fault><reason>a</reason></fault>", "a", False),
        ("<action><status>failed</status><fault><detail>b</detail></fault></action>", "b", True),
        ("<action><status><state>failed</state></status></action>", "", True),
        ("<action><fault/></action>", "", True),
        ("<action><status>complete</status></action>", "", False),
        ("<action/>", "", False),
    ),
)
def test_a_fault_is_found_wherever_it_stands(text: str, said: str, failed: bool) -> None:
    root = parse(text.encode())
    assert (readings.fault_of(root), readings.has_failed(root)) == (said, failed)


def test_nothing_has_no_fault() -> None:
    assert readings.fault_of(None) == ""


def test_times_are_read_with_their_zones_and_nothing_else_is_a_time() -> None:
    assert readings.seconds_since_1970("1970-01-01T00:00:10Z") == 10
    assert readings.seconds_since_1970("1970-01-01T01:00:10+01:00") == 10
    for wrong in ("", "1970-01-01T00:00:10", "10", "yesterday"):
        assert readings.seconds_since_1970(wrong) is None
    assert readings.http_date("Thu, 01 Jan 1970 00:00:10 GMT") == 10
    for wrong in ("", "10", "Thu, 99 Jan 1970"):
        assert readings.http_date(wrong) is None


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_none(text: str) -> None:
    readings.seconds_since_1970(text)
    readings.http_date(text)
