"""No rule reads the clock that people set: whatever CLOCK_REALTIME does, no world of the simulation would differ.

What decides takes the time as a number from its caller.  The shells draw that number from CLOCK_BOOTTIME alone; the
wall clock is for people's eyes, and for how long records are kept (``test_picture`` lets it jump).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_host import acquaintance, denial, host_death, ownership, permission, verdict
from fencebus_schemas import deadline
from tests.components import CHECKOUT

HOST = CHECKOUT / "host_agent" / "fencebus_host"
AGENT = CHECKOUT / "agent" / "fencebus_agent"
STARTS = (verdict, denial, host_death, permission, ownership, acquaintance)
CLOCKS = {"time", "datetime", "asyncio", "os", "threading", "sched", "signal"}
"""Modules that can tell the time, or let it pass."""


def deciding() -> set[Path]:
    """The modules that decide, and whatever of the package they import."""
    found: set[Path] = set()
    waiting = [Path(module.__file__ or "") for module in STARTS]
    waiting += [HOST / "ledger.py", AGENT / "death.py", *sorted((HOST / "federation").glob("*.py"))]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [each for name in imported(path) for each in ours(name)]
    return found


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{each.name}" for each in node.names))


def ours(name: str) -> list[Path]:
    """The file of a module of host or agent; of the schemas, too."""
    folders = {"fencebus_host": HOST.parent, "fencebus_agent": AGENT.parent, "fencebus_schemas": CHECKOUT / "schemas"}
    folder = folders.get(name.split(".", 1)[0])
    path = folder / f"{name.replace('.', '/')}.py" if folder else None
    return [path] if path and path.is_file() else []


DEADLINE = Path(deadline.__file__)


@pytest.mark.parametrize("path", sorted(deciding() - {DEADLINE}), ids=lambda path: path.stem)
def test_what_decides_cannot_read_a_clock(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & CLOCKS == set()


def test_the_one_clock_that_deadlines_know_is_not_the_one_that_people_set() -> None:
    tree = ast.parse(DEADLINE.read_text(encoding="utf-8"))
    read = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "time"]
    assert {node.attr for node in read} == {"clock_gettime", "CLOCK_BOOTTIME"}


@pytest.mark.parametrize("folder", (HOST / "routers" / "federated", HOST / "listeners"), ids=lambda path: path.name)
def test_the_shells_that_say_what_time_it_is_do_not_know_the_wall_clock(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("time", "datetime"):
                assert node.attr not in ("time", "time_ns", "now", "CLOCK_REALTIME", "localtime"), (
                    f"{path}: {node.lineno}"
                )
