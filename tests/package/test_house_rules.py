"""What the source promises about itself: sizes, names, what each module says it is, what runs on a guest's Python."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
IN_GUESTS = [path for folder in STANDARD_LIBRARY_ONLY for path in modules(folder)]


@cache
def text_of(path: Path) -> str:
    """What stands in a file, read once."""
    return path.read_text(encoding="utf-8")


def length_of(path: Path) -> int:
    return len(text_of(path).splitlines())


@dataclass(frozen=True)
class Facts:
    """What the rules ask of a file's syntax; the tree itself, which is large, is not kept."""

    says: str
    """The first line of its docstring."""
    functions: tuple[tuple[str, int], ...]
    """The functions and methods, each with its lines."""
    imports: frozenset[str]


@cache
def facts_of(path: Path) -> Facts:
    """Read a file's syntax, once."""
    nodes = list(ast.walk(tree := ast.parse(text_of(path), filename=str(path))))
    sizes = tuple((node.name, lines_of(node)) for node in nodes if isinstance(node, Function))
    return Facts((ast.get_docstring(tree) or "").partition("\n")[0], sizes, frozenset(imported(nodes)))


def lines_of(function: Function) -> int:
    """Return how many lines a function's body has, without its docstring and its signature."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the top-level name of everything that is imported, wherever."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def shown(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def sources_with(*words: str) -> list[str]:
    """The sources in which one of the words stands."""
    return [shown(path) for path in SOURCES if any(word in text_of(path) for word in words)]


def test_a_module_says_first_what_it_decides_or_converts() -> None:
    assert [shown(path) for path in SOURCES if not facts_of(path).says] == []


def test_a_module_is_not_longer_than_400_lines() -> None:
    assert [(shown(path), length_of(path)) for path in SOURCES if length_of(path) > 400] == []


def test_neither_is_a_module_of_tests() -> None:
    assert [(shown(path), length_of(path)) for path in modules("tests") if length_of(path) > 400] == []


def test_no_function_is_longer_than_60_lines() -> None:
    found = [(shown(path), name, lines) for path in SOURCES for name, lines in facts_of(path).functions]
    assert [each for each in found if each[2] > 60] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [shown(path) for path in SOURCES if path.stem in FORBIDDEN_NAMES] == []


def test_no_module_switches_a_type_check_off() -> None:
    assert sources_with("type: " + "ignore") == []


def test_nobody_waits_in_a_way_that_swallows_a_cancellation() -> None:
    """See fencebus_agent.patience."""
    assert sources_with("asyncio." + "wait_for(") == []


def test_half_of_the_modules_are_at_most_150_lines() -> None:
    assert statistics.median(map(length_of, MODULES)) <= 150


def test_half_of_the_functions_are_at_most_8_lines_and_nine_tenths_at_most_30() -> None:
    sizes = [lines for path in SOURCES for _, lines in facts_of(path).functions]
    assert statistics.median(sizes) <= 8
    assert statistics.quantiles(sizes, n=10)[8] <= 30


def test_what_runs_in_guests_imports_only_pythons_own_library() -> None:
    known = {"fencebus_schemas", "fencebus_guest"} | sys.stdlib_module_names
    assert {(shown(path), name) for path in IN_GUESTS for name in facts_of(path).imports - known} == set()


def test_what_runs_in_guests_is_written_in_the_grammar_of_python_3_9() -> None:
    for path in IN_GUESTS:
        ast.parse(text_of(path), filename=shown(path), feature_version=OLDEST_GUEST)


def test_there_are_at_least_as_many_lines_of_tests_as_of_source() -> None:
    assert sum(map(length_of, modules("tests"))) >= sum(map(length_of, SOURCES))
