"""Converts QMF's own schema XML, as its code generators read it, to descriptions of classes.

An event names its arguments; what they are stands in ``eventArguments``, once for all events of the package.  Written
for files of ours: a mistake is a KeyError, a ValueError or ElementTree's ParseError, at import and in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from fencebus_schemas.qmf2_data import Kind, SchemaId, Severity
from fencebus_schemas.qmf2_schema import Access, ClassSchema, Field, Method, Type

_TYPES = {one.word: one for one in Type}
_SEVERITIES = dict(zip(("emerg", "alert", "crit", "error", "warn", "notice", "inform", "debug"), Severity))
_NO = "n"


def read_schema(text: str) -> tuple[ClassSchema, ...]:
    """The classes and events of one package, each with its hash, in the file's order."""
    root = ET.fromstring(text)
    package = root.attrib["package"]
    arguments = {one.attrib["name"]: _field(one) for one in root.iterfind("eventArguments/arg")}
    classes = [_class(one, package) for one in root.iterfind("class")]
    events = [_event(one, package, arguments) for one in root.iterfind("event")]
    return tuple(one.hashed() for one in (*classes, *events))


def _class(element: Element, package: str) -> ClassSchema:
    fields = tuple(_field(one) for one in element if one.tag in ("property", "statistic"))
    methods = tuple(_method(one) for one in element.iterfind("method"))
    return ClassSchema(SchemaId(package, element.attrib["name"]), fields, methods, element.get("desc", ""))


def _event(element: Element, package: str, arguments: Mapping[str, Field]) -> ClassSchema:
    names = [name.strip() for name in element.attrib["args"].split(",")]
    return ClassSchema(
        SchemaId(package, element.attrib["name"], Kind.EVENT),
        tuple(arguments[name] for name in names),
        desc=element.get("desc", ""),
        severity=_SEVERITIES[element.attrib["sev"]],
    )


def _method(element: Element) -> Method:
    arguments = tuple(_field(one) for one in element.iterfind("arg"))
    return Method(element.attrib["name"], element.get("desc", ""), arguments)


def _field(element: Element) -> Field:
    return Field(
        element.attrib["name"],
        _TYPES[element.attrib["type"]],
        element.get("desc", ""),
        element.get("unit", ""),
        Access[element.get("access", "RO")],
        element.get("dir", "I"),
        element.get("index", _NO) != _NO,
        element.get("optional", _NO) != _NO,
        element.tag == "statistic",
    )
