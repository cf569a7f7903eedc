"""Calls that came already, and the words of a refusal."""

from __future__ import annotations

import pytest

from fencebus_agent.qmf_calls import Call, CallRefused, CallRules, Forbidding, SeenCalls
from fencebus_agent.qmf_objects import QmfObjects
from fencebus_schemas.amqp010 import Value
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.qmf2_classes import CLASSES, DOMAIN, FENCE_CONTROL
from fencebus_schemas.qmf2_data import Data, ObjectId
from fencebus_schemas.qmf2_messages import Code, MethodRequest

AGENT = "fencebus:libvirt-qmf:hosta"


def test_a_call_is_known_by_where_its_answer_goes_and_its_number() -> None:
    seen = SeenCalls()
    assert seen.is_new("a/b", "1", 0.0)
    assert not seen.is_new("a/b", "1", 1.0)
    assert seen.is_new("a/c", "1", 1.0)
    assert seen.is_new("a/b", "2", 1.0)


def test_a_call_is_forgotten_after_a_while_and_not_before() -> None:
    seen = SeenCalls(seconds=120.0)
    assert seen.is_new("a", "1", 0.0)
    assert not seen.is_new("a", "1", 119.0)
    assert seen.is_new("a", "1", 120.0)


def test_of_too_many_calls_the_oldest_is_forgotten() -> None:
    seen = SeenCalls(most=2)
    assert all(seen.is_new("a", number, 0.0) for number in ("1", "2", "3"))
    assert seen.is_new("a", "1", 0.0)
    assert not seen.is_new("a", "3", 0.0)


def test_a_refusal_is_its_words_and_its_number() -> None:
    refusal = CallRefused(Code.FORBIDDEN, "not you")
    assert (str(refusal), refusal.code) == ("not you (6)", 6)


async def test_whoever_only_shows_forbids_whatever_is_called() -> None:
    target = Data(ObjectId(AGENT, "x"), DOMAIN.id)
    with pytest.raises(CallRefused) as refused:
        await Forbidding().call(Call(target, "destroy", {}, "admin", "1"), Deadline.after(30))
    assert refused.value.code == Code.FORBIDDEN


@pytest.mark.parametrize("missing", ("target", "action", "requestId", "timeout"))
def test_a_call_brings_every_input_argument(missing: str) -> None:
    objects = QmfObjects(AGENT)
    objects.put(FENCE_CONTROL, "hosta", {}, 1)
    rules = CallRules(AGENT, 1, CLASSES, {"admin"})
    whole: dict[str, Value] = {"target": "vm7", "action": "off", "requestId": "r", "timeout": 20}
    call = rules.admit(MethodRequest("fence", None, whole), objects, "admin", "1")
    assert call.arguments == whole
    partly = {name: value for name, value in whole.items() if name != missing}
    with pytest.raises(CallRefused, match=f"Missing argument: {missing}"):
        rules.admit(MethodRequest("fence", None, partly), objects, "admin", "1")
    with pytest.raises(CallRefused, match="Invalid argument: ok"):
        rules.admit(MethodRequest("fence", None, {**whole, "ok": True}), objects, "admin", "1")
