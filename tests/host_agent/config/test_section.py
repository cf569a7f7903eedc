"""Reading a section by its keys: the last of duplicates, unknown names, numbered keys."""

from __future__ import annotations

from fencebus_host.config import values
from fencebus_host.config.grammar import parse
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.problems import Problems
from fencebus_host.config.section import Reading, children, last_section, unknown
from fencebus_host.config.tree import Item

NUMBER = Key("number", values.whole_number(0, 9), 5, "5", "A number.")
URI: Key[str | None] = Key("uri", values.text, None, "none", "A URI.", numbered=True)
MANY = Key("many", values.any_text, "", "none", "Many.", repeats=True)
OLD = Key("old", values.any_text, "", "", "Old.", KnownBy.C_ONLY)
SECTION = Section("top/s", "A section.", (NUMBER, URI, MANY, OLD))


def items(text: str) -> tuple[Item, ...]:
    problems = Problems()
    found = parse(text, "f", problems)
    assert problems.in_order() == ()
    return found


def reading(inside: str) -> tuple[Reading, Problems]:
    problems = Problems()
    (item,) = items(f"s {{\n{inside}\n}}")
    return Reading(item, SECTION, problems), problems


def told(problems: Problems) -> list[str]:
    return [str(problem).removeprefix("f:") for problem in problems.in_order()]


def test_a_key_that_is_not_set_has_its_default_and_no_place() -> None:
    found, problems = reading("")
    assert (found.get(NUMBER), found.where(NUMBER), told(problems)) == (5, None, [])


def test_no_section_at_all_gives_all_defaults() -> None:
    problems = Problems()
    found = Reading(None, SECTION, problems)
    assert (found.get(NUMBER), found.numbered(URI), found.all(MANY), told(problems)) == (5, (), (), [])


def test_the_last_one_counts_and_every_earlier_one_is_told() -> None:
    found, problems = reading('number = "1";\nNumber = "2";\nnumber = "3";')
    assert found.get(NUMBER) == 3
    where = found.where(NUMBER)
    assert where is not None
    assert where.line == 4
    assert told(problems) == [
        "2: ignored-key: this `number` is ignored: line 4 sets it again",
        "3: ignored-key: this `Number` is ignored: line 4 sets it again",
    ]


def test_a_bad_value_is_told_once_however_often_it_is_asked_for() -> None:
    found, problems = reading('number = "x";')
    assert (found.get(NUMBER), found.get(NUMBER)) == (5, 5)
    assert told(problems) == ['2: bad-value: `number` must be a whole number from 0 to 9, not "x"']


def test_all_values_of_a_list_come_in_their_order_with_their_places() -> None:
    found, problems = reading('many = "b";\nmany = "a";')
    assert [(text, where.line) for text, where in found.all(MANY)] == [("b", 2), ("a", 3)]
    assert told(problems) == []


def test_numbered_keys_end_at_the_first_gap() -> None:
    found, problems = reading('uri1 = "b";\nuri = "a";\nuri3 = "d";')
    assert found.numbered(URI) == ("a", "b")
    assert told(problems) == ["4: ignored-key: `uri3` is ignored: there is no `uri2`"]


def test_a_repeated_numbered_key_is_told_too() -> None:
    found, problems = reading('uri = "a";\nuri1 = "b";\nuri1 = "c";')
    assert found.numbered(URI) == ("a", "c")
    assert told(problems) == ["3: ignored-key: this `uri1` is ignored: line 4 sets it again"]


def test_a_key_without_effect_is_told() -> None:
    assert told(reading('old = "x";')[1]) == ["2: c-only-key: `old` has no effect here: Old."]


def test_unknown_names_and_sections_in_place_of_values_are_errors() -> None:
    assert told(reading('nubmer = "1";\nnumber { }\nnumber = "1" { x = "y"; }')[1]) == [
        "2: unknown-key: `nubmer` means nothing here (did you mean `number`?)",
        '3: not-a-key: `number` takes a value, not a section (number = "...";)',
        "3: ignored-key: this `number` is ignored: line 4 sets it again",
        '4: not-a-key: `number` takes a value, not a section (number = "...";)',
    ]


def test_empty_braces_after_a_value_change_nothing_as_in_c() -> None:
    found, problems = reading('number = "1" { }')
    assert (found.get(NUMBER), told(problems)) == (1, [])


def test_of_repeated_sections_the_last_one_is_found() -> None:
    problems = Problems()
    found = last_section(items('a { x = "1"; }\nb { }\nA { x = "2"; }'), "a", problems)
    assert found is not None
    assert found.where.line == 3
    assert told(problems)[0].startswith(
        "1: ignored-section: this section `a` is ignored: another one follows in line 3"
    )
    assert last_section((), "a", problems) is None


def test_a_value_in_place_of_a_section_is_an_error() -> None:
    problems = Problems()
    assert children(items('a = "1";')[0], problems) == ()
    assert told(problems) == ["1: not-a-section: `a` is a section (a { ... })"]


def test_unknown_names_are_compared_without_case() -> None:
    problems = Problems()
    unknown(items("A { } b { } c { }"), ["a", "B"], "unknown-section", problems)
    assert told(problems) == ["1: unknown-section: `c` means nothing here (known: a, b)"]
