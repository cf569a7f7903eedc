"""XML, lines with tabs and the page of HTML say what the JSON says."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_schemas.status import Explanation, PartStatus, RuleStatus, Step
from fencebus_schemas.status_html import to_html
from fencebus_schemas.status_page import to_page
from fencebus_schemas.status_plain import to_plain
from fencebus_schemas.status_tables import (
    CLAIM_HEAD,
    EVENT_HEAD,
    FENCE_HEAD,
    HOST_HEAD,
    ROUTER_HEAD,
    RULE_HEAD,
    STEP_HEAD,
    VM_HEAD,
    age,
    claim_rows,
    clock,
    event_row,
    fence_rows,
    host_rows,
    router_rows,
    rule_rows,
    step_rows,
    tsv,
    visible,
    vm_rows,
)
from fencebus_schemas.status_xml import to_xml, to_xml_line
from tests.schemas.statuses import ALL, EVENT, FENCE, RUNNING, STATUS


def texts(plain: object) -> list[str]:
    """All that stands in a plain value, as XML writes it, in order."""
    if isinstance(plain, dict):
        return [text for each in plain.values() for text in texts(each)]
    if isinstance(plain, list):
        return [text for each in plain for text in texts(each)]
    if plain is None:
        return []
    return [str(plain).lower() if isinstance(plain, bool) else str(plain)]


@pytest.mark.parametrize("value", ALL, ids=lambda value: type(value).__name__)
def test_xml_holds_every_value_under_the_name_of_its_field(value: object) -> None:
    root = ET.fromstring(to_xml("told", value))
    leaves = [element.text or "" for element in root.iter() if not len(element)]
    assert [text for text in leaves if text.strip()] == [text for text in texts(to_plain(value)) if text]
    plain = to_plain(value)
    assert isinstance(plain, dict)
    assert [child.tag for child in root] == [name for name, each in plain.items() if each is not None]


@pytest.mark.parametrize("value", ALL, ids=lambda value: type(value).__name__)
def test_a_plain_page_holds_every_value_as_text_and_never_as_markup(value: object) -> None:
    shown = Shown()
    shown.feed(to_page("a <b>\x1b", value))
    assert "a <b>\\x1b" in shown.text
    assert not shown.tags - PLAIN
    for text in texts(to_plain(value)):
        if not re.fullmatch(r"[0-9.]+|true|false", text):
            assert visible(text) in shown.text, text


def test_a_plain_page_says_yes_no_and_when_and_leaves_out_what_is_not_told() -> None:
    page = to_page("status", replace(STATUS, file=None), "<svg></svg>", ".x{}")
    assert "<svg></svg>" in page
    assert ".x{}" in page
    assert f"<td>{escape(clock(STATUS.at))}</td>" in page
    assert "host h2, state running, generation 0, silent yes" in page
    assert ">file<" not in page
    assert "<td>yes</td>" in page
    assert "<td>1.50</td>" in to_page("fence", FENCE)
    assert "<ul><li>" in to_page("explain", next(each for each in ALL if isinstance(each, Explanation)))


PLAIN = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "ul", "li"} | {
    *("table", "thead", "tbody", "tr", "th", "td"),
}


class Shown(HTMLParser):
    """What a reader of a page sees, and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_element_of_what_goes_on_is_one_line() -> None:
    line = to_xml_line("event", replace(EVENT, text="one\ntwo\r<b>"))
    assert len(line.splitlines()) == 1
    assert ET.fromstring(line).findtext("text") == "one\ntwo\r<b>"


@given(st.text())
def test_no_text_breaks_xml(text: str) -> None:
    found = ET.fromstring(to_xml("part", PartStatus(text))).findtext("name") or ""
    assert len(found) == len(text.replace("\r\n", "\n"))


@given(st.lists(st.lists(st.text(), min_size=1, max_size=3), max_size=3))
def test_no_text_breaks_a_line_with_tabs(rows: list[list[str]]) -> None:
    lines = tsv(rows).split("\n")
    assert len(lines) == len(rows) + 1
    assert [len(line.split("\t")) for line in lines[:-1]] == [len(row) for row in rows]


def test_every_row_has_the_cells_of_its_head() -> None:
    tables = (
        (VM_HEAD, vm_rows(STATUS.vms)),
        (HOST_HEAD, host_rows(STATUS.hosts)),
        (ROUTER_HEAD, router_rows(STATUS.routers)),
        (FENCE_HEAD, fence_rows([FENCE], [RUNNING])),
        (CLAIM_HEAD, claim_rows(STATUS.vms)),
        (RULE_HEAD, rule_rows([RuleStatus("s1", "says", False)])),
        (STEP_HEAD, step_rows([Step("way", True, "text")])),
        (EVENT_HEAD, [event_row(EVENT)]),
    )
    for head, rows in tables:
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_rows_say_who_claims_a_vm_and_which_fence_is_not_over() -> None:
    assert vm_rows(STATUS.vms)[0][-1] == "h1=running h2=running?"
    assert [row[7] for row in fence_rows([FENCE], [RUNNING])] == ["pending", "not-proven"]
    assert [row[-1] for row in fence_rows([FENCE], [RUNNING])] == ["vm3", "vm2"]


def test_each_host_that_has_a_vm_has_a_row_of_it_and_what_nobody_has_stands_first() -> None:
    rows = claim_rows(STATUS.vms)
    assert [(row[0], row[1], row[3], row[4]) for row in rows] == [
        ("", "vm<2>", "off", ""),
        ("h1", "vm1", "running", "no"),
        ("h2", "vm1", "running", "yes"),
    ]


def test_what_a_router_has_not_is_an_empty_cell() -> None:
    assert router_rows(STATUS.routers) == [
        ("qmf", "3", "2", "no", "", "7", "yes", "amqps://fence@broker:5671"),
        ("checkpoint", "3", "3", "yes", "no", "", "yes", "corosync"),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), ((None, ""), (-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7300, "2 h"), (200_000, "2 d"))
)
def test_a_span_of_time_is_told_in_its_greatest_unit(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


def test_a_time_is_told_with_its_zone() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", clock(1e9))
    assert clock(None) == ""


class Tags(HTMLParser):
    """Keeps what a page refers to, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.refers: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.refers += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Each is closed in its turn."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.text += data


def test_the_page_needs_nothing_else_and_shows_what_is_there_as_text() -> None:
    page = Tags()
    page.feed(to_html(STATUS))
    assert page.refers == []
    assert page.open == []
    for text in ("vm<2>", "odd <b>", "h3", "not-proven", "ERROR", "amqps://fence@broker:5671"):
        assert text in page.text


def test_the_page_of_a_host_that_is_alone_has_no_routers() -> None:
    assert "Routers" in to_html(STATUS)
    assert "Routers" not in to_html(replace(STATUS, routers=()))
