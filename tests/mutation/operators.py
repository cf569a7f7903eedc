"""Decides which small changes are made to a module: cosmic-ray's, as far as a test can tell, and two of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from parso.python.tree import Keyword
from parso.python.tree import Operator as Sign
from parso.tree import BaseNode, NodeOrLeaf

Position = tuple[tuple[int, int], tuple[int, int]]

PAIRS = ("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt", "Eq_NotEq", "NotEq_Eq",
         "Is_IsNot", "IsNot_Is")  # fmt: skip
"""Of every comparison its limit and its contrary; who notices these notices the others."""
SIGNS = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Mod_Add", "BitOr_BitAnd", "BitAnd_BitOr")
LEFT_OUT = ("RemoveDecorator",)
"""The decorators of dataclasses and properties are their meaning."""


class StatementRemoved(Operator):
    """A call, or what is written into an object, does not happen."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """Each such statement."""
        if isinstance(node, BaseNode) and node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf | None:
        """``pass`` takes its place."""
        assert isinstance(node, BaseNode)
        first = node.children[0]
        node.children[0] = Keyword("pass", first.start_pos, first.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> Iterable[object]:
        """None: cosmic-ray asks for them in its own tests only."""
        return ()


class MembershipInverted(Operator):
    """``in`` and ``not in`` change places."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """Each comparison of that kind."""
        if isinstance(node, BaseNode) and node.type == "comparison" and _membership(node):
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf | None:
        """The other one."""
        assert isinstance(node, BaseNode)
        contrary = {"in": "not in", "not in": "in"}[_membership(node)]
        node.children[1] = Sign(contrary, node.children[1].start_pos, " ")
        return node

    @classmethod
    def examples(cls) -> Iterable[object]:
        """None: cosmic-ray asks for them in its own tests only."""
        return ()


def operators() -> list[Operator]:
    """All that are used, in an order that does not change."""
    chosen = [get_operator(name) for name in sorted(operator_names()) if _is_used(name.split("/")[-1])]
    return [*(each() for each in chosen if not each.arguments()), StatementRemoved(), MembershipInverted()]


def _is_used(name: str) -> bool:
    if name.startswith("ReplaceComparisonOperator"):
        return name.split("_", 1)[1] in PAIRS
    if name.startswith("ReplaceBinaryOperator"):
        return name.split("_", 1)[1] in SIGNS
    return name not in LEFT_OUT


def _has_effect(node: NodeOrLeaf) -> bool:
    if node.type == "atom_expr":
        return True
    target = node.children[0] if isinstance(node, BaseNode) and node.type == "expr_stmt" else None
    return target is not None and target.type == "atom_expr"


def _membership(node: BaseNode) -> str:
    sign = " ".join(node.children[1].get_code().split())
    return sign if len(node.children) == 3 and sign in ("in", "not in") else ""
