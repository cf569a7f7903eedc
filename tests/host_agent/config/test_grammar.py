"""The grammar reads what C reads, with C's meaning, and steps over mistakes to find the next one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from fencebus_host.config.grammar import MAX_DEPTH, MAX_MISTAKES, parse
from fencebus_host.config.problems import Problem, Problems
from fencebus_host.config.tree import Item, render
from tests.fuzz.strategies_config import trees


def read(text: str) -> tuple[tuple[Item, ...], tuple[Problem, ...]]:
    problems = Problems()
    return parse(text, "f", problems), problems.in_order()


def right(text: str) -> tuple[Item, ...]:
    items, problems = read(text)
    assert problems == ()
    return items


def short(items: tuple[Item, ...]) -> list[object]:
    """The tree without places: entries as (name, value), sections as (name, value, [children])."""
    return [
        (item.name, item.value) if item.children is None else (item.name, item.value, short(item.children))
        for item in items
    ]


@pytest.mark.parametrize(
    ("text", "tree"),
    (
        ('a = "1";', [("a", "1")]),
        ("a { }", [("a", None, [])]),
        ('a = "x" { b = "1"; }', [("a", "x", [("b", "1")])]),
        ('a{b="1";c="2";}', [("a", None, [("b", "1"), ("c", "2")])]),
        ('a = "1"; a = "2";', [("a", "1"), ("a", "2")]),
        ('# first\na = "1"; # last', [("a", "1")]),
        ('a#b = "#c";', [("a#b", "#c")]),
        ('/x/uuid[1] = "1";', [("/x/uuid[1]", "1")]),
        ('a = "two\nlines { } ; =";', [("a", "two\nlines { } ; =")]),
        ('a = "\\";', [("a", "\\")]),
        ('a\n=\n"1"\n;', [("a", "1")]),
        ('ä = "ö";', [("ä", "ö")]),
        # what C refuses, and people write
        ('a = "";', [("a", "")]),
        ("a { };\nb { };", [("a", None, []), ("b", None, [])]),
        ('a {\r\n  b = "1";\r\n}\r\n', [("a", None, [("b", "1")])]),
    ),
)
def test_a_right_text_gives_its_tree(text: str, tree: list[object]) -> None:
    assert short(right(text)) == tree


def test_every_item_knows_its_line() -> None:
    items = right('# one\na {\n  b = "1";\n\n  c = "x\ny"; d = "2";\n}\ne { }')
    inner = items[0].children or ()
    assert [item.where.line for item in (*items, *inner)] == [2, 8, 3, 5, 6]


@pytest.mark.parametrize(
    ("text", "expected", "tree"),
    (
        ('a { b = c; d = "1"; }', [(1, "bare-value")], [("a", None, [("b", "c"), ("d", "1")])]),
        ("a { port = 1229; }", [(1, "bare-value")], [("a", None, [("port", "1229")])]),
        ("port 1229;", [(1, "bare-value")], [("port", "1229")]),
        ('a = b c = d; e = "f";', [(1, "bare-value")], [("a", "b"), ("e", "f")]),
        ('a = "1"\nb = "2";', [(1, "missing-semicolon")], [("a", "1"), ("b", "2")]),
        ('a { b = "1" }', [(1, "missing-semicolon")], [("a", None, [("b", "1")])]),
        ('a = "1"', [(1, "missing-semicolon")], [("a", "1")]),
        ('a "1";', [(1, "missing-equals")], [("a", "1")]),
        ('a == "1";', [(1, "stray-equals")], [("a", "1")]),
        ('a = "1" "2";', [(1, "stray-value")], [("a", "1")]),
        ('a = "1" = "2";', [(1, "stray-value"), (1, "stray-value")], [("a", "1")]),
        ('a = ;\nb = "1";', [(1, "missing-value")], [("a", ""), ("b", "1")]),
        ('a\nb = "1";', [(2, "missing-value")], [("a", ""), ("b", "1")]),
        ("a;", [(1, "missing-value")], [("a", "")]),
        ("a", [(1, "missing-value")], [("a", "")]),
        ("a { b }", [(1, "missing-value")], [("a", None, [("b", "")])]),
        ("a { b = }", [(1, "missing-value")], [("a", None, [("b", "")])]),
        ('a = { b = "1"; }', [(1, "missing-value")], [("a", "", [("b", "1")])]),
        ('a = "1";; b = "2";', [(1, "stray-semicolon")], [("a", "1"), ("b", "2")]),
        ('= a = "1";', [(1, "stray-equals")], [("a", "1")]),
        ('"x" a = "1";', [(1, "stray-value")], [("a", "1")]),
        ('{ a = "1"; }', [(1, "missing-name")], [("", None, [("a", "1")])]),
        ('} a = "1";', [(1, "unmatched-brace")], [("a", "1")]),
        ('a {\nb {\nc = "1";\n', [(1, "unclosed-section"), (2, "unclosed-section")], None),
        ('a = "1;\nb = "2";\nc = "3";', [(1, "unclosed-quote")], [("a", "1;\nb = "), ("b", "2"), ("c", "3")]),
        ('a = "1;\nb { c = "2"; }', [(1, "unclosed-quote")], None),
        ('a = "1', [(1, "unclosed-quote")], [("a", "")]),
        ('a = "1\nb { }', [(1, "unclosed-quote")], [("a", ""), ("b", None, [])]),
        ('a "1\nb { }', [(1, "unclosed-quote")], [("a", ""), ("b", None, [])]),
        ('a { }\n"\nb { }', [(2, "unclosed-quote")], [("a", None, []), ("b", None, [])]),
        ("}", [(1, "unmatched-brace")], []),
        ("", [(0, "empty-file")], []),
        (" \n# nothing\n", [(0, "empty-file")], []),
    ),
)
def test_a_mistake_is_named_with_its_line_and_the_rest_is_still_read(
    text: str, expected: list[tuple[int, str]], tree: list[object] | None
) -> None:
    items, problems = read(text)
    assert [(problem.line, problem.code) for problem in problems] == expected
    if tree is not None:
        assert short(items) == tree


def test_one_mistake_does_not_hide_the_others() -> None:
    items, problems = read('a { b = 1; }\nc { d = "1" }\ne { f "1"; }\ng = "open;\nh = "1";\ni { ')
    assert [problem.line for problem in problems] == [1, 2, 3, 4, 6]
    assert [item.name for item in items] == ["a", "c", "e", "g", "h", "i"]


def test_a_value_without_quotes_comes_with_its_fix() -> None:
    assert str(read("a { port = 1229; }")[1][0]) == (
        'f:1: bare-value: the value of `port` must stand in double quotes (port = "1229";)'
    )


@pytest.mark.parametrize("text", ("a = ;", "a", 'a = "1', 'a = "1;\nb = "2";', "a = }"))
def test_a_value_that_nobody_could_read_is_marked_as_broken(text: str) -> None:
    assert read(text)[0][0].broken


def test_a_value_without_quotes_is_not_broken_so_that_its_own_mistakes_are_told_too() -> None:
    assert not read("a = 1;")[0][0].broken


def test_sections_nest_up_to_a_limit() -> None:
    assert right("a { " * MAX_DEPTH + "} " * MAX_DEPTH)
    assert [problem.code for problem in read("a { " * 100_000)[1]] == ["too-deep"]


def test_a_text_full_of_mistakes_is_given_up() -> None:
    assert len(read("= " * 10_000)[1]) == MAX_MISTAKES + 1


def test_many_unclosed_quotes_take_no_quadratic_time() -> None:
    assert len(read('a = "x;\n' * 20_001)[1]) == MAX_MISTAKES + 1


@given(trees())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_rendered_tree_reads_back_as_itself(tree: tuple[Item, ...]) -> None:
    assert short(right(render(tree))) == short(tree)


@given(trees())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_line_ends_of_windows_change_nothing(tree: tuple[Item, ...]) -> None:
    text = render(tree)
    assert [item.name for item in right(text.replace("\n", "\r\n"))] == [item.name for item in tree]
