"""Values without dataclasses stay what they are and compare by what they hold."""

from __future__ import annotations

import pytest

from fencebus_schemas.frozen import Frozen
from fencebus_schemas.handshake import Read, Send
from fencebus_schemas.xvm import XvmRequest


def test_a_value_cannot_be_changed() -> None:
    value = Read(3)
    with pytest.raises(AttributeError, match="immutable"):
        value.length = 4
    with pytest.raises(AttributeError, match="immutable"):
        del value.length
    assert value.length == 3


def test_values_compare_by_type_and_fields() -> None:
    assert Read(3) == Read(3)
    assert Read(3) != Read(4)
    assert Read(3) != Send(b"abc")
    assert Read(3) != 3
    assert len({Read(3), Read(3), Read(4)}) == 2


def test_a_value_shows_its_fields_and_hides_those_with_an_underscore() -> None:
    assert repr(Read(3)) == "Read(length=3)"
    assert "_wire" not in repr(XvmRequest(4, "test"))
    packed = XvmRequest(4, "test")
    assert XvmRequest.unpack(packed.pack()) == packed
    assert isinstance(packed, Frozen)
