"""Items and the text that says them."""

from __future__ import annotations

from fencebus_host.config.problems import Where
from fencebus_host.config.tree import Item, render

HERE = Where("f", 1)


def test_names_do_not_differ_by_case() -> None:
    assert Item("Port", HERE, "1").called("pORT")
    assert not Item("Port", HERE, "1").called("ports")


def test_a_tree_is_rendered_with_one_item_per_line_and_indented_sections() -> None:
    tree = (
        Item("a", HERE, "1"),
        Item("b", HERE, None, (Item("c", HERE, ""), Item("d", HERE, "x", (Item("e", HERE, "2"),)))),
    )
    assert render(tree) == 'a = "1";\nb {\n    c = "";\n    d = "x" {\n        e = "2";\n    }\n}\n'


def test_an_empty_section_keeps_its_braces() -> None:
    assert render([Item("a", HERE, None, ())]) == "a {\n}\n"
