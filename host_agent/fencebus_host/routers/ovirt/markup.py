"""Converts a manager's XML to elements, or says why it will not: too long, a DOCTYPE, no XML at all.  Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from fencebus_schemas.errors import FencebusError

MOST_BYTES = 64 << 20
"""Of one answer: a list of ten thousand VMs has 50 million."""


class MarkupError(FencebusError):
    """An answer is not the XML that a manager gives; ``detail`` is for people."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class _Builder(ET.TreeBuilder):
    """Builds elements only: with no DOCTYPE there are no entities that could grow or read files (S11)."""

    def doctype(self, _name: str, _pubid: str | None, _system: str | None) -> None:
        """Called by the parser where one begins."""
        raise MarkupError("an answer with a DOCTYPE")


def parse(content: bytes) -> ET.Element:
    """The root element of ``content``.  Raises MarkupError."""
    if len(content) > MOST_BYTES:
        raise MarkupError(f"an answer of more than {MOST_BYTES} bytes")
    parser = ET.XMLParser(target=_Builder())
    try:
        parser.feed(content)
        root = parser.close()
    except (ET.ParseError, ValueError, LookupError) as error:
        raise MarkupError(f"an answer that is no XML ({error})") from error
    if not isinstance(root, ET.Element):
        raise MarkupError("an answer without an element")
    return root


def text_of(element: ET.Element, path: str) -> str:
    """The text of the first element at ``path``, fit to be shown; empty if there is none."""
    found = element.findtext(path) or ""
    return "".join(sign for sign in found.strip() if sign.isprintable())[:MOST_SHOWN]


MOST_SHOWN = 400
"""Characters of one text from a manager that go into messages."""
