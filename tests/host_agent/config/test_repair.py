"""What a token in the wrong place means, without any parser."""

from __future__ import annotations

import pytest

from fencebus_host.config.grammar import parse
from fencebus_host.config.problems import Problems
from fencebus_host.config.repair import (
    CLOSE,
    END,
    EQUAL,
    NAME,
    NO_VALUE,
    OPEN,
    SEMICOLON,
    VALUE,
    Context,
    Lexeme,
    Repair,
    repair,
)


def lexeme(kind: str, text: str = "", line: int = 1, end_line: int = 0) -> Lexeme:
    return Lexeme(kind, text, line, end_line or line)


def mend(wrong: Lexeme, before: Lexeme | None, open_lines: tuple[int, ...] = ()) -> Repair:
    return repair(wrong, Context(before, "port", open_lines))


QUOTED = lexeme(VALUE, '"1229"')
BARE = lexeme(VALUE, "1229")


@pytest.mark.parametrize(
    ("wrong", "before", "code", "insert", "drop"),
    (
        (QUOTED, lexeme(NAME), "missing-equals", ((EQUAL, "="),), False),
        (lexeme(NAME, "x"), lexeme(NAME), "bare-value", ((EQUAL, "="), (VALUE, "x")), True),
        (lexeme(NAME, "x", 2), lexeme(NAME), "missing-value", ((EQUAL, "="), NO_VALUE, (SEMICOLON, ";")), False),
        (lexeme(SEMICOLON), lexeme(NAME), "missing-value", ((EQUAL, "="), NO_VALUE), False),
        (lexeme(CLOSE), lexeme(NAME), "missing-value", ((EQUAL, "="), NO_VALUE, (SEMICOLON, ";")), False),
        (lexeme(NAME, "x"), lexeme(EQUAL), "bare-value", ((VALUE, "x"),), True),
        (lexeme(EQUAL), lexeme(EQUAL), "stray-equals", (), True),
        (lexeme(SEMICOLON), lexeme(EQUAL), "missing-value", (NO_VALUE,), False),
        (lexeme(OPEN), lexeme(EQUAL), "missing-value", (NO_VALUE,), False),
        (lexeme(END), lexeme(EQUAL), "missing-value", (NO_VALUE, (SEMICOLON, ";")), False),
        (lexeme(NAME, "x"), QUOTED, "missing-semicolon", ((SEMICOLON, ";"),), False),
        (lexeme(CLOSE), QUOTED, "missing-semicolon", ((SEMICOLON, ";"),), False),
        (lexeme(NAME, "x"), BARE, "", (), True),
        (lexeme(NAME, "x", 2), BARE, "missing-semicolon", ((SEMICOLON, ";"),), False),
        (QUOTED, QUOTED, "stray-value", (), True),
        (lexeme(EQUAL), QUOTED, "stray-value", (), True),
        (lexeme(OPEN), lexeme(SEMICOLON), "missing-name", ((NAME, ""),), False),
        (lexeme(CLOSE), None, "unmatched-brace", (), True),
        (lexeme(SEMICOLON, ";"), lexeme(SEMICOLON), "stray-semicolon", (), True),
        (lexeme(EQUAL, "="), lexeme(CLOSE), "stray-equals", (), True),
        (QUOTED, lexeme(OPEN), "stray-value", (), True),
    ),
)
def test_a_wrong_token_is_reported_and_mended(
    wrong: Lexeme, before: Lexeme | None, code: str, insert: tuple[tuple[str, str], ...], drop: bool
) -> None:
    found = mend(wrong, before)
    assert (found.code, found.insert, found.drop) == (code, insert, drop)


def test_a_missing_semicolon_is_told_at_the_line_that_lacks_it() -> None:
    assert mend(lexeme(NAME, "x", 9), lexeme(VALUE, '"a\nb"', 3, 4)).line == 4


def test_an_open_section_is_told_at_the_line_where_it_begins() -> None:
    found = mend(lexeme(END, line=9), lexeme(SEMICOLON), (2, 5))
    assert (found.code, found.line, found.insert) == ("unclosed-section", 5, ((CLOSE, "}"),))


def test_a_long_text_is_cut_in_a_message() -> None:
    assert mend(lexeme(VALUE, '"' + "x" * 500), None).message == f'`"{"x" * 39}...` stands where a name is expected'


@pytest.mark.parametrize("before", (None, lexeme(NAME), lexeme(EQUAL), QUOTED, BARE, lexeme(OPEN), lexeme(CLOSE)))
@pytest.mark.parametrize("kind", (NAME, VALUE, EQUAL, SEMICOLON, OPEN, CLOSE))
def test_every_repair_makes_progress(before: Lexeme | None, kind: str) -> None:
    found = mend(lexeme(kind, "x", 2), before)
    assert found.drop or found.insert


@pytest.mark.parametrize(
    ("line", "suggestion"),
    (
        ("listener = 'multicast';", 'listener = "multicast";'),
        ("interface = \u201cbr0\u201d;", 'interface = "br0";'),
        ("/* old */", "a comment begins with `#`"),
        ("// old", "a comment begins with `#`"),
        ('include "/etc/other.conf";', "no other file is read: put its contents here"),
        ("@include /etc/other.conf", "no other file is read: put its contents here"),
        ("listener: multicast", 'a key is `name = "value";`, a section `name { ... }`'),
    ),
)
def test_what_other_configuration_files_have_is_answered_with_what_is_written_here(line: str, suggestion: str) -> None:
    problems = Problems()
    parse(f"fence_virtd {{\n{line}\n}}\n", "f", problems)
    first = problems.in_order()[0]
    assert (first.where.line, first.suggestion) == (2, suggestion)
