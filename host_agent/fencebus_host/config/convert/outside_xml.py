"""Turns XML from outside into elements with their lines; refuses whatever could make reading it expensive (S11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from fencebus_host.config.convert.conversion import MAX_SOURCE, SourceError

MAX_DEPTH = 32
MAX_ELEMENTS = 20000


@dataclass(slots=True)
class Element:
    """One element: its name, its attributes, its line, what is inside."""

    name: str
    attributes: dict[str, str]
    line: int
    children: list[Element] = field(default_factory=list)

    def all(self, *path: str) -> list[Element]:
        """Every element that the path of names leads to."""
        found = [self]
        for name in path:
            found = [child for element in found for child in element.children if child.name == name]
        return found

    def first(self, *path: str) -> Element | None:
        """The first of them."""
        return next(iter(self.all(*path)), None)


def parse_outside(content: bytes, source: str) -> Element:
    """The root element of ``content``; SourceError for bad XML, a DOCTYPE, or more than any real file has."""
    if len(content) > MAX_SOURCE:
        raise SourceError(source, f"it has more than {MAX_SOURCE} bytes")
    reader = _Reader(source)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise SourceError(f"{source}:{error.lineno}", f"bad XML: {expat.ErrorString(error.code)}") from None
    return reader.root.children[0]


def _is_plain(text: str) -> bool:
    """Whether a text can stand in a configuration file and in a line for a shell without becoming something else."""
    return text.isprintable() and '"' not in text


class _Reader:
    """Collects the elements that expat sees."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self.root = Element("", {}, 0)
        self._open = [self.root]
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _doctype(self, *_: object) -> None:
        # Entities are declared in a DOCTYPE, and only there.
        self._refuse("a DOCTYPE is not allowed here: take the line away, cman never needed it")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > MAX_DEPTH or self._count > MAX_ELEMENTS:
            self._refuse("it has too many elements")
        for attribute, text in attributes.items():
            if not _is_plain(text):
                self._refuse(f"a quote or control character in the attribute `{attribute}` of <{name}>")
        element = Element(name, attributes, self.parser.CurrentLineNumber)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _refuse(self, why: str) -> None:
        raise SourceError(f"{self._source}:{self.parser.CurrentLineNumber}", why)
