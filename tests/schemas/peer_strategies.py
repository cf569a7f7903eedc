"""Makes every message between hosts that their own annotations allow: the codec's tables are written by hand."""

from __future__ import annotations

import types
import typing
from dataclasses import fields
from enum import Enum

from hypothesis import strategies as st

from fencebus_schemas.model import HostId, Observation, RequestId, Uuid
from fencebus_schemas.peer import EVERYONE, Message
from fencebus_schemas.peer_fields import BODIES

MESSAGES = tuple(BODIES)
"""All kinds; that none is missing is a test."""

FREE_TEXT = frozenset(("name", "detail", "text", "target", "via", "vm_name", "hypervisor", "cluster", "source_cluster"))
"""Fields that may hold any character."""

INCARNATION_PARTS = frozenset(("boot_id", "machine_id", "nonce"))

printable = st.text(st.characters(exclude_categories=("C", "Z")), max_size=20)
any_text = st.text(max_size=20)
"""Lone surrogates, too: a name need not be UTF-8."""
filled = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
hosts = filled.map(HostId)
seconds = st.floats(-1e9, 1e9)

SIMPLE: dict[object, st.SearchStrategy[object]] = {
    HostId: hosts,
    RequestId: printable.map(RequestId),
    Uuid: st.uuids().map(str).map(Uuid),
    str: printable,
    int: st.integers(0, (1 << 63) - 1),
    float: seconds,
    bool: st.booleans(),
    types.NoneType: st.none(),
}


def messages(*kinds: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of these kinds, or of all."""
    return st.one_of(*(message_of(kind) for kind in kinds or MESSAGES))


def message_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages of one kind, to one host or to everyone."""
    given = {name: strategy for name, strategy in _fields(kind).items() if name != "to"}
    return st.builds(kind, to=st.one_of(hosts, st.just(EVERYONE)), **given)


def observations() -> st.SearchStrategy[Observation]:
    """What a host may have seen."""
    return st.builds(Observation, **_fields(Observation))


def _fields(made: type) -> dict[str, st.SearchStrategy[object]]:
    hints = typing.get_type_hints(made)
    return {each.name: _in_field(each.name, hints[each.name]) for each in fields(made)}


def _in_field(name: str, hint: object) -> st.SearchStrategy[object]:
    """What a field of this name and type may hold."""
    if name in INCARNATION_PARTS:
        return filled
    if name in FREE_TEXT and hint is str:
        return any_text
    if name in FREE_TEXT and typing.get_args(hint) == (str, types.NoneType):
        return st.one_of(st.none(), any_text)
    return of(hint)


def of(hint: object) -> st.SearchStrategy[object]:
    """What a field of this type may hold."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return st.lists(of(parts[0]), max_size=3).map(tuple)
    if parts:
        return st.one_of(*(of(part) for part in parts))
    assert isinstance(hint, type)
    return st.builds(hint, **_fields(hint))
