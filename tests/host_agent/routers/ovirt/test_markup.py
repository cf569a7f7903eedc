"""XML from outside: what is read, and what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.ovirt import markup
from fencebus_host.routers.ovirt.markup import MarkupError, parse, text_of

BOMB = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><l>&b;</l>"""
FILE = b"""<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]><l>&a;</l>"""


@pytest.mark.parametrize("content", (BOMB, FILE, b"<!DOCTYPE html><html/>", b'<!DOCTYPE l SYSTEM "http://a/b"><l/>'))
def test_a_doctype_is_refused_before_anything_of_it_is_believed(content: bytes) -> None:
    with pytest.raises(MarkupError, match="DOCTYPE"):
        parse(content)


@pytest.mark.parametrize(
    "content",
    (b"", b"   ", b"text", b"<a>", b"<a></b>", b"<a/><b/>", b"\xff\xfe", b'<?xml version="1.0" encoding="x"?><a/>'),
)
def test_what_is_no_xml_is_refused(content: bytes) -> None:
    with pytest.raises(MarkupError):
        parse(content)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(MarkupError):
        assert parse(content).tag


def test_deep_elements_are_no_trouble() -> None:
    root = parse(b"<a>" * 50_000 + b"</a>" * 50_000)
    assert root.tag == "a"


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MOST_BYTES", 10)
    with pytest.raises(MarkupError, match="more than 10 bytes"):
        parse(b"<a>12345678</a>")


def test_a_text_is_short_and_can_be_shown() -> None:
    root = parse(b"<a><b> one\n\ttwo\x7f </b><c/><long>" + b"x" * 1000 + b"</long></a>")
    assert text_of(root, "b") == "onetwo"
    assert text_of(root, "c") == text_of(root, "d") == ""
    assert len(text_of(root, "long")) == markup.MOST_SHOWN
