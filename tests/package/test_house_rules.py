"""What the source promises about itself: sizes, names, what each module says it is, what runs on a guest's Python."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import CHECKOUT

FOLDERS = ("schemas", "agent", "host_agent", "guest_client", "broker_config")
FORBIDDEN_NAMES = {"utils", "util", "helper", "helpers", "manager", "base", "common", "misc"}
# In these folders only Python's own library may be imported: they run in guests.
STANDARD_LIBRARY_ONLY = ("schemas", "guest_client")
OLDEST_GUEST = (3, 9)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(folder: str) -> list[Path]:
    """Return the Python files below `folder`."""
    return sorted((CHECKOUT / folder).rglob("*.py"))


SOURCES = [path for folder in FOLDERS for path in modules(folder)]
MODULES = [path for path in SOURCES if path.name != "__init__.py"]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[Function]:
    """Yield the functions and methods written in `path`."""
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(function: Function) -> int:
    """Return how many lines a function's body has, without its docstring and its signature."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level name of everything `path` imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_a_module_says_first_what_it_decides_or_converts(path: Path) -> None:
    said = ast.get_docstring(tree_of(path))
    assert said
    assert said.splitlines()[0]


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_a_module_is_not_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_neither_is_a_module_of_tests() -> None:
    assert [shown(path) for path in modules("tests") if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_no_function_is_longer_than_60_lines(path: Path) -> None:
    assert [f"{each.name}: {lines_of(each)} lines" for each in functions(path) if lines_of(each) > 60] == []


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_no_module_switches_a_type_check_off(path: Path) -> None:
    assert "type: " + "ignore" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_nobody_waits_in_a_way_that_swallows_a_cancellation(path: Path) -> None:
    """See fencebus_agent.patience."""
    assert "asyncio." + "wait_for(" not in path.read_text(encoding="utf-8")


def test_half_of_the_modules_are_at_most_150_lines() -> None:
    assert statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES) <= 150


def test_half_of_the_functions_are_at_most_8_lines_and_nine_tenths_at_most_30() -> None:
    sizes = [lines_of(function) for path in SOURCES for function in functions(path)]
    assert statistics.median(sizes) <= 8
    assert statistics.quantiles(sizes, n=10)[8] <= 30


@pytest.mark.parametrize("path", [path for folder in STANDARD_LIBRARY_ONLY for path in modules(folder)], ids=shown)
def test_what_runs_in_guests_imports_only_pythons_own_library(path: Path) -> None:
    ours = {"fencebus_schemas", "fencebus_guest"}
    assert {name for name in imported(path) if name not in sys.stdlib_module_names} <= ours


@pytest.mark.parametrize("path", [path for folder in STANDARD_LIBRARY_ONLY for path in modules(folder)], ids=shown)
def test_what_runs_in_guests_is_written_in_the_grammar_of_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=OLDEST_GUEST)


def test_there_are_at_least_as_many_lines_of_tests_as_of_source() -> None:
    source = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES)
    tests = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in modules("tests"))
    assert tests >= source
