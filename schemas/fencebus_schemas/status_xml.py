"""Converts values of the data model to XML and back: an element for each field, one for each item of a list.

What JSON calls null has no element.  A character that XML cannot hold stands as U+FFFD.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from fencebus_schemas.status_plain import to_plain

ITEM = "item"
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(name: str, value: object) -> str:
    """A document whose root is called ``name``."""
    root = _element(name, to_plain(value))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode")


def to_xml_line(name: str, value: object) -> str:
    """One element in one line, without a declaration: for what goes on and on."""
    return ET.tostring(_element(name, to_plain(value)), "unicode").replace("\n", "&#10;").replace("\r", "&#13;")


def _element(name: str, plain: object) -> ET.Element:
    element = ET.Element(name)
    if isinstance(plain, dict):
        element.extend(_element(key, each) for key, each in plain.items() if each is not None)
    elif isinstance(plain, list):
        element.extend(_element(ITEM, each) for each in plain)
    else:
        element.text = _text(plain)
    return element


def _text(plain: object) -> str:
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return NO_XML.sub("\ufffd", str(plain))
