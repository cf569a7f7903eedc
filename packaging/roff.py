"""Converts text to roff, the language of man pages."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Fixed, so that the pages of the same source are the same.
DATE = "2026-01-01"


def escaped(text: str) -> str:
    """Return `text` as it has to stand in a line of roff: backslashes, hyphens, and a leading dot or quote."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + safe if safe[:1] in (".", "'") else safe


def prose(markdown: str) -> str:
    """Return a paragraph with `code` and **strong** words in bold."""
    spaced = " ".join(markdown.split())
    return re.sub(r"`([^`]+)`|\*\*([^*]+)\*\*", lambda found: f"\\fB{found[1] or found[2]}\\fR", escaped(spaced))


def page(name: str, section: int, meaning: str, version: str) -> str:
    """Return the head of a page: its title line and its NAME."""
    title = f'.TH {escaped(name.upper())} {section} {DATE} "fencebus {version}" "Fencing of virtual machines"\n'
    return title + heading("NAME") + f"{escaped(name)} \\- {escaped(meaning)}\n"


def heading(text: str) -> str:
    """Return a section's heading."""
    return f".SH {escaped(text)}\n"


def subheading(text: str) -> str:
    """Return a sub-section's heading."""
    return f'.SS "{escaped(text)}"\n'


def paragraphs(*markdown: str) -> str:
    """Return the paragraphs that follow a heading."""
    return ".PP\n".join(f"{prose(text)}\n" for text in markdown)


def tagged(tag: str, markdown: str) -> str:
    """Return an entry of a list: `tag` in bold, the text indented below it."""
    return f".TP\n\\fB{escaped(tag)}\\fR\n{prose(markdown)}\n"


def example(lines: Iterable[str]) -> str:
    """Return lines that keep their line ends."""
    return ".nf\n" + "".join(f"{escaped(line)}\n" for line in lines) + ".fi\n"


def see_also(*pages: str) -> str:
    """Return the last section; each page as name(section)."""
    inner = ",\n".join(f"\\fB{escaped(each.partition('(')[0])}\\fR({each.partition('(')[2]}" for each in pages)
    return heading("SEE ALSO") + inner + "\n"
