"""The page about QMF has the classes as they are."""

from __future__ import annotations

from fencebus_schemas.qmf2_classes import CLASSES
from tests.schemas.qmf_page import PAGE, page, tables


def test_the_pages_tables_are_made_from_the_schema_xml() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text
    assert tables() in text


def test_every_class_property_and_method_is_on_the_page() -> None:
    for described in CLASSES:
        assert f"`{described.id.package}:{described.id.class_name}`" in tables()
        for name in [*(one.name for one in described.properties), *(one.name for one in described.methods)]:
            assert f"| `{name}` |" in tables()
