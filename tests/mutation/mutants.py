"""Converts a module's text into all of its mutants: each one small change, in one function."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from tests.mutation.operators import operators
from tests.mutation.places import Places


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change."""

    function: str
    before: str
    """The line as it is, stripped."""
    after: str
    source: str
    """The whole module with the change in it."""


def mutants(source: str, functions: Collection[str]) -> Iterator[Mutant]:
    """Every change in these functions, save for those that say the same and those in annotations."""
    places, tree, seen = Places(source), get_ast(source), {source}
    for operator in operators():
        positions = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
        for occurrence, (begin, _) in enumerate(positions):
            if places.is_annotation(begin) or places.name_at(begin[0]) not in functions:
                continue
            changed = mutate_code(source, operator, occurrence)
            if changed is not None and changed not in seen:
                seen.add(changed)
                yield Mutant(places.name_at(begin[0]), *_difference(source, changed), changed)


def _difference(source: str, changed: str) -> tuple[str, str]:
    """The lines that differ: a change has one place, so that what is before and after it is the same."""
    before, after = source.splitlines(), changed.splitlines()
    first = next(number for number, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    back = zip(reversed(before[first:]), reversed(after[first:]), strict=False)
    same = next((number for number, (old, new) in enumerate(back) if old != new), 0)
    return _joined(before[first : len(before) - same]), _joined(after[first : len(after) - same])


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)
