"""What somebody is told to install."""

from __future__ import annotations

import json
import sys

import pytest

from fencebus_schemas.libraries import DEBIAN_AND_EXTRA, is_there, library_of, to_install
from tests.components import CHECKOUT


def test_a_library_is_known_by_its_own_name_and_by_those_of_its_parts() -> None:
    assert library_of(ModuleNotFoundError(name="kombu")) == "kombu"
    assert library_of(ImportError(name="proton._message")) == "proton"


def test_what_may_not_be_missing_is_no_library_but_a_defect() -> None:
    assert library_of(ModuleNotFoundError(name="fencebus_agent.lost")) == ""
    assert library_of(ImportError("a library of C does not fit")) == ""


def test_a_library_is_there_if_it_was_imported_or_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_there("json")
    assert not is_there("no_such_library")
    monkeypatch.setitem(sys.modules, "without_a_spec", json)
    assert is_there("without_a_spec")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    assert is_there("wave")


def test_one_that_somebody_has_barred_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kombu", None)
    assert not is_there("kombu")


def test_debian_s_package_and_pip_s_extra_are_named_both() -> None:
    assert to_install("kombu") == "Debian: apt-get install python3-kombu; else: pip install 'fencebus[rabbitmq]'"
    assert to_install("kombu", "broker").endswith("pip install 'fencebus[broker]'")


def test_the_packages_and_the_extras_exist() -> None:
    suggested = (CHECKOUT / "packaging" / "debian" / "control").read_text(encoding="utf-8")
    extras = (CHECKOUT / "setup.py").read_text(encoding="utf-8")
    for package, extra in DEBIAN_AND_EXTRA.values():
        assert package in suggested
        assert f'"{extra}": ' in extras
