"""Decides what a token in the wrong place means: what is wrong, and how reading can go on to find the next mistake."""

from __future__ import annotations

from dataclasses import dataclass, replace

NAME, VALUE, EQUAL, SEMICOLON, OPEN, CLOSE, END = "NAME", "VALUE", "EQUAL", "SEMICOLON", "LBRACE", "RBRACE", "$END"


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A token, free of the parser's own classes.  An inserted one has no text of the file behind it."""

    kind: str
    text: str
    line: int
    end_line: int

    @property
    def multi_line(self) -> bool:
        """True for a value that spans lines."""
        return self.end_line > self.line


@dataclass(frozen=True, slots=True)
class Context:
    """Where reading stands: what was read just before, and the lines at which the open sections began."""

    before: Lexeme | None
    name: str
    """The name of the item that is being read."""
    open_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """What to report (nothing if ``code`` is empty), what to read first, and whether the wrong token is left out."""

    code: str
    message: str = ""
    suggestion: str = ""
    insert: tuple[tuple[str, str], ...] = ()
    drop: bool = False
    line: int = 0
    """Where the mistake is, if not at the wrong token."""


# A value that nobody wrote: not even quotes.  The tree marks its item as broken.
NO_VALUE = (VALUE, "")


def repair(wrong: Lexeme, context: Context) -> Repair:
    """How to go on at ``wrong``, which the grammar does not allow in this ``context``."""
    before = context.before.kind if context.before else None
    if before == NAME:
        found = _after_name(wrong, context)
        return replace(found, suggestion=_of_another_language(context.name) or found.suggestion)
    if before == EQUAL:
        return _after_equal(wrong, context)
    if before == VALUE:
        return _after_value(wrong, context)
    return _at_item(wrong, context)


def _of_another_language(name: str) -> str:
    """What to write here instead of what other configuration files have; empty for a name that could be one."""
    if name.startswith(("//", "/*", "--")):
        return "a comment begins with `#`"
    if name.lower().strip("@.!%") in ("include", "includedir"):
        return "no other file is read: put its contents here"
    if name.endswith(":"):
        return 'a key is `name = "value";`, a section `name { ... }`'
    return ""


def _after_name(wrong: Lexeme, context: Context) -> Repair:
    same_line = context.before is not None and context.before.line == wrong.line
    if wrong.kind == VALUE:
        return Repair("missing-equals", f"`=` is missing after `{context.name}`", insert=((EQUAL, "="),))
    if wrong.kind == NAME and same_line:
        found = _bare(wrong, context)
        return Repair(found.code, found.message, found.suggestion, ((EQUAL, "="), *found.insert), drop=True)
    end = () if wrong.kind == SEMICOLON else ((SEMICOLON, ";"),)
    return _missing_value(context, (EQUAL, "="), NO_VALUE, *end)


def _after_equal(wrong: Lexeme, context: Context) -> Repair:
    if wrong.kind == NAME:
        return _bare(wrong, context)
    if wrong.kind == EQUAL:
        return Repair("stray-equals", "one `=` is enough", drop=True)
    end = () if wrong.kind in (SEMICOLON, OPEN) else ((SEMICOLON, ";"),)
    return _missing_value(context, NO_VALUE, *end)


def _after_value(wrong: Lexeme, context: Context) -> Repair:
    value = context.before
    same_line = value is not None and value.end_line == wrong.line
    bare = value is not None and not value.text.startswith('"')
    if wrong.kind in (NAME, EQUAL) and same_line and bare:
        return Repair("", drop=True)  # the rest of a value without quotes, which is reported already
    if wrong.kind in (VALUE, EQUAL):
        return Repair("stray-value", f"`{context.name}` takes one value in one pair of quotes", drop=True)
    line = value.end_line if value else wrong.line
    message = f"`;` is missing after the value of `{context.name}`"
    return Repair("missing-semicolon", message, insert=((SEMICOLON, ";"),), line=line)


def _at_item(wrong: Lexeme, context: Context) -> Repair:
    if wrong.kind == END and context.open_lines:
        line = context.open_lines[-1]
        message = f"the section that begins at line {line} is never closed"
        return Repair("unclosed-section", message, "add `}`", insert=((CLOSE, "}"),), line=line)
    if wrong.kind == OPEN:
        return Repair("missing-name", "a section needs a name before `{`", insert=((NAME, ""),))
    if wrong.kind == CLOSE:
        return Repair("unmatched-brace", "this `}` closes nothing", drop=True)
    code = {SEMICOLON: "stray-semicolon", EQUAL: "stray-equals"}.get(wrong.kind, "stray-value")
    return Repair(code, f"`{_short(wrong.text)}` stands where a name is expected", drop=True)


_OTHER_QUOTES = "'`\u2018\u2019\u201c\u201d\u201e"
"""What word processors and other languages put around a text; only the straight double quote is one here."""


def _bare(wrong: Lexeme, context: Context) -> Repair:
    message = f"the value of `{context.name}` must stand in double quotes"
    # The inserted text has no quotes: that is how _after_value knows that more words may follow.
    meant = f'{context.name} = "{wrong.text.strip(_OTHER_QUOTES)}";'
    return Repair("bare-value", message, meant, ((VALUE, wrong.text),), drop=True)


def _missing_value(context: Context, *insert: tuple[str, str]) -> Repair:
    return Repair("missing-value", f"`{context.name}` has no value", f'{context.name} = "...";', insert)


def _short(text: str) -> str:
    first = text.split("\n", 1)[0]
    return first if len(first) <= 40 else first[:40] + "..."
