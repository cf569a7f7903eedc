"""docs/configuration.md says what the table of keys says."""

from __future__ import annotations

import re

from fencebus_host.config.key import Key, KnownBy
from fencebus_host.config.key_table import SECTIONS
from fencebus_host.config.reference import page
from fencebus_host.config.values import BadValueError
from tests.components import CHECKOUT


def test_the_page_in_docs_is_the_one_that_the_table_makes() -> None:
    text = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert text == page(), "run: python -m fencebus_host.config.reference > docs/configuration.md"


def test_the_page_names_every_section_and_key() -> None:
    text = page()
    for section in SECTIONS:
        assert section.path.replace("/", " { ") in text
        for key in section.keys:
            assert f"| `{key.name}` |" in text


def test_every_key_is_in_a_section_once_and_in_lower_case() -> None:
    for section in SECTIONS:
        names = [key.name for key in section.keys]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch("[a-z_]+", name) for name in names)


def shows_a_value(key: Key[object]) -> bool:
    return re.fullmatch(r"[\w.:/-]+", key.shown) is not None and key.known_by is not KnownBy.C_ONLY


def test_a_default_that_is_shown_as_a_value_is_the_default() -> None:
    for section in SECTIONS:
        for key in filter(shows_a_value, section.keys):
            try:
                shown = key.read(key.shown)
            except BadValueError:
                continue  # words such as "none; required" are no value
            assert key.default in (None, shown, "") or key.shown == "none", f"{section.path}/{key.name}"
