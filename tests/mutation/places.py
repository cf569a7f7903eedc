"""Decides in which function each line of a module is, which text that function has, and what in it is annotation."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass

MODULE = "<module>"
"""What stands in no function: constants, and the fields of classes."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one position to another, as (line, column) pairs; the end is outside."""

    begin: tuple[int, int]
    end: tuple[int, int]

    def holds(self, position: tuple[int, int]) -> bool:
        """Whether the position is inside."""
        return self.begin <= position < self.end


class Places:
    """The functions of one module."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines()
        self._functions: dict[str, Span] = {}
        self._annotations: list[Span] = []
        self._walk(ast.parse(source), "")

    def name_at(self, line: int) -> str:
        """The function that holds this line, with its class; the inner one, if one is in another."""
        holding = [name for name, span in self._functions.items() if span.holds((line, 0))]
        return holding[-1] if holding else MODULE

    def is_annotation(self, position: tuple[int, int]) -> bool:
        """Annotations are not evaluated, and a class's decorators are its meaning: no test could tell."""
        return any(span.holds(position) for span in self._annotations)

    def lines(self, name: str) -> list[str]:
        """The stripped lines of a function; of what is in none, for ``MODULE``; none, if there is no such function."""
        inside = self._numbers(name)
        return [line.strip() for number, line in enumerate(self._lines, 1) if number in inside and line.strip()]

    def digest(self, name: str) -> str:
        """Another one after every change of the function's text."""
        return hashlib.sha256("\n".join(self.lines(name)).encode()).hexdigest()[:16]

    @property
    def names(self) -> tuple[str, ...]:
        """All functions, and ``MODULE``."""
        return (*self._functions, MODULE)

    def _numbers(self, name: str) -> set[int]:
        if name != MODULE:
            return self._span_lines(self._functions[name]) if name in self._functions else set()
        functions = (self._span_lines(span) for span in self._functions.values())
        return set(range(1, len(self._lines) + 1)).difference(*functions)

    def _span_lines(self, span: Span) -> set[int]:
        return set(range(span.begin[0], span.end[0]))

    def _walk(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}".lstrip(".")
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                self._take_function(name, child)
            if isinstance(child, ast.ClassDef):
                self._annotations += [_span(each) for each in child.decorator_list]
            if isinstance(child, ast.arg | ast.AnnAssign) and child.annotation is not None:
                self._annotations.append(_span(child.annotation))
            self._walk(child, name)

    def _take_function(self, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        self._functions[name] = Span((first, 0), ((node.end_lineno or node.lineno) + 1, 0))
        if node.returns is not None:
            self._annotations.append(_span(node.returns))


def _span(node: ast.expr) -> Span:
    end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return Span((node.lineno, node.col_offset), end)
