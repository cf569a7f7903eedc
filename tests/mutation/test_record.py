"""What is told of mutants is still true of the source, as far as that can be seen without running any."""

from __future__ import annotations

from tests.mutation import page, record
from tests.mutation.places import MODULE, Places
from tests.mutation.record import Record, Survivor, Trial
from tests.mutation.subjects import SUBJECTS

SOURCE = """
LIMIT: int | None = 3


class Kept:
    def first(self) -> int | None:
        return 1

    @property
    def second(self) -> int:
        def inner() -> int:
            return 2

        return inner()
"""


def test_a_line_is_in_the_innermost_function_that_holds_it_and_annotations_are_known() -> None:
    places = Places(SOURCE)
    assert places.names == ("Kept.first", "Kept.second", "Kept.second.inner", MODULE)
    assert [places.name_at(line) for line in (2, 7, 9, 12, 14)] == [
        MODULE,
        "Kept.first",
        "Kept.second",
        "Kept.second.inner",
        "Kept.second",
    ]
    assert places.is_annotation((2, 11))
    assert not places.is_annotation((2, 20))
    assert places.is_annotation((6, 26))
    assert places.lines(MODULE) == ["LIMIT: int | None = 3", "class Kept:"]
    assert places.lines("Kept.gone") == []


def test_only_a_change_of_the_function_itself_changes_its_digest() -> None:
    before, after = Places(SOURCE), Places(SOURCE.replace("return 1", "return 5"))
    assert before.digest("Kept.first") != after.digest("Kept.first")
    assert before.digest("Kept.second") == after.digest("Kept.second")


def test_every_survivor_that_is_told_is_of_a_line_that_is_still_there() -> None:
    known = record.read()
    for module in known.modules:
        places = Places(SUBJECTS[module].path.read_text(encoding="utf-8"))
        for each in known.survivors(module):
            text = " ".join(places.lines(each.function))
            assert each.before in text, f"make mutation MODULES={module}: {each.function} has changed"


def test_every_explanation_is_of_a_survivor() -> None:
    known = record.read()
    told = {(module, each) for module in known.modules for each in known.survivors(module)}
    assert set(record.explanations()) - told == set()


def test_every_survivor_has_a_reason() -> None:
    known = record.read()
    told = {(module, each) for module in known.modules for each in known.survivors(module)}
    assert told - set(record.explanations()) == set()


def test_every_module_that_is_to_be_mutated_was() -> None:
    assert set(record.read().modules) == set(SUBJECTS)


def test_the_page_is_what_the_record_says() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render(record.read(), record.explanations())


def test_a_survivor_without_a_reason_is_told_to_be_without_one() -> None:
    survivor = Survivor("f", "a < b", "a <= b")
    text = page.render(Record({"rules": {"f": Trial("", 3, (survivor,))}}), {})
    assert "| `rules.py` | 3 | 2 | 1 |" in text
    assert page.UNEXPLAINED in text
    assert "not explained" not in page.render(
        Record({"rules": {"f": Trial("", 3, (survivor,))}}), {("rules", survivor): "why"}
    )
