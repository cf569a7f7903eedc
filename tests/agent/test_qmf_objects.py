"""What an agent's objects are, and which of them consoles have not been told of."""

from __future__ import annotations

from fencebus_agent.qmf_answers import IN_AN_ANSWER, IN_AN_INDICATION, QmfAnswers, indications
from fencebus_agent.qmf_objects import REMEMBERED, QmfObjects
from fencebus_schemas.qmf1 import SchemaRequest
from fencebus_schemas.qmf2_classes import CLASSES, DOMAIN, DOMAIN_LIFECYCLE, FENCE_CONTROL, NODE
from fencebus_schemas.qmf2_data import Data, ObjectId, SchemaId
from fencebus_schemas.qmf2_messages import Code, Content, Failure, QueryRequest, QueryResponse, What
from fencebus_schemas.qmf2_predicate import equals
from tests.schemas.qmf1_reader import read_answer

AGENT = "fencebus:libvirt-qmf:hosta"
VM = "org.libvirt:Domain:vm"


def objects_with(count: int) -> QmfObjects:
    made = QmfObjects(AGENT)
    made.show(DOMAIN, {f"vm{number:03}": {"name": f"vm{number}"} for number in range(count)}, 1)
    return made


def answers(objects: QmfObjects, query: QueryRequest) -> list[Data]:
    """The objects in the answer, which must be a sound one."""
    found: list[Data] = []
    replies = QmfAnswers(AGENT, CLASSES, objects).answer(query)
    for at, reply in enumerate(replies):
        assert isinstance(reply, QueryResponse)
        assert reply.partial == (at < len(replies) - 1)
        found += [one for one in reply.items if isinstance(one, Data)]
    return found


def test_a_change_is_told_once_with_the_time_it_was_made_and_changed() -> None:
    objects = QmfObjects(AGENT)
    assert objects.put(DOMAIN, "vm", {"state": "running"}, 5)
    assert objects.put(DOMAIN, "vm", {"state": "shutoff"}, 7)
    assert objects.take_changes() == [Data(ObjectId(AGENT, VM), DOMAIN.id, {"state": "shutoff"}, 5, 7)]
    assert objects.take_changes() == []
    assert not objects.put(DOMAIN, "vm", {"state": "shutoff"}, 9)
    assert objects.take_changes() == []


def test_what_is_gone_is_told_with_the_time_of_its_end() -> None:
    objects = QmfObjects(AGENT)
    objects.put(DOMAIN, "vm", {}, 5)
    objects.take_changes()
    assert objects.remove(DOMAIN, "vm", 6)
    assert not objects.remove(DOMAIN, "vm", 7)
    assert [(one.id.name, one.deleted) for one in objects.take_changes()] == [(VM, 6)]
    assert objects.find(VM) is None


def test_what_is_gone_is_told_again_with_everything_for_a_while() -> None:
    objects = QmfObjects(AGENT)
    objects.put(DOMAIN, "vm", {}, 5)
    objects.remove(DOMAIN, "vm", 6)
    assert [one.deleted for one in objects.take_all(7)] == [6]
    assert objects.take_changes() == []
    assert objects.take_all(6 + REMEMBERED) == []


def test_what_comes_back_is_there_and_was_never_gone() -> None:
    objects = QmfObjects(AGENT)
    objects.put(DOMAIN, "vm", {}, 5)
    objects.remove(DOMAIN, "vm", 6)
    objects.put(DOMAIN, "vm", {}, 7)
    assert [one.deleted for one in objects.take_all(8)] == [0]


def test_to_show_a_class_is_to_show_all_of_it_and_nothing_of_another() -> None:
    objects = objects_with(3)
    objects.put(NODE, "hosta", {"hostname": "hosta"}, 1)
    objects.take_changes()
    assert not objects.show(DOMAIN, {f"vm{number:03}": {"name": f"vm{number}"} for number in range(3)}, 2)
    assert objects.show(DOMAIN, {"vm001": {"name": "renamed"}}, 3)
    told = {one.id.name: one.deleted for one in objects.take_changes()}
    assert told == {"org.libvirt:Domain:vm000": 3, "org.libvirt:Domain:vm001": 0, "org.libvirt:Domain:vm002": 3}
    assert [one.id.name for one in objects.of(None)] == ["org.libvirt:Domain:vm001", "org.libvirt:Node:hosta"]


def test_a_long_answer_comes_in_parts_and_only_the_last_one_ends_it() -> None:
    count = 2 * IN_AN_ANSWER + 1
    query = QueryRequest(What.OBJECT, SchemaId("org.libvirt", "Domain"))
    assert len(QmfAnswers(AGENT, CLASSES, objects_with(count)).answer(query)) == 3
    assert len(answers(objects_with(count), query)) == count


def test_a_query_for_one_object_is_answered_with_it_or_with_nothing() -> None:
    objects = objects_with(2)
    name = "org.libvirt:Domain:vm001"
    for agent in ("", AGENT):
        assert [one.id.name for one in answers(objects, QueryRequest(What.OBJECT, None, ObjectId(agent, name)))] == [
            name
        ]
    assert answers(objects, QueryRequest(What.OBJECT, None, ObjectId("another:agent:x", name))) == []
    assert answers(objects, QueryRequest(What.OBJECT, None, ObjectId("", "another"))) == []


def test_a_query_for_names_is_answered_with_the_objects() -> None:
    assert len(answers(objects_with(2), QueryRequest(What.OBJECT_ID, DOMAIN.id))) == 2


def test_a_query_may_say_which_objects() -> None:
    query = QueryRequest(What.OBJECT, DOMAIN.id, where=equals("name", "vm1"))
    assert [one.values["name"] for one in answers(objects_with(3), query)] == ["vm1"]


def test_classes_are_listed_and_described() -> None:
    desk = QmfAnswers(AGENT, CLASSES, QmfObjects(AGENT))
    ids = tuple(one.id for one in CLASSES)
    assert desk.answer(QueryRequest(What.SCHEMA_ID)) == [QueryResponse(AGENT, Content.SCHEMA_ID, ids)]
    assert desk.answer(QueryRequest(What.SCHEMA, DOMAIN.id)) == [QueryResponse(AGENT, Content.SCHEMA, (DOMAIN,))]
    other = SchemaId("org.libvirt", "Domain", hash=NODE.id.hash)
    assert desk.answer(QueryRequest(What.SCHEMA, other)) == [QueryResponse(AGENT, Content.SCHEMA)]
    (failure,) = desk.answer(QueryRequest(What.SCHEMA))
    assert isinstance(failure, Failure)
    assert failure.code == Code.INVALID_PARAMETER


def test_version_1_describes_our_classes_and_is_silent_about_others() -> None:
    desk = QmfAnswers(AGENT, CLASSES, QmfObjects(AGENT))
    for described in (DOMAIN, DOMAIN_LIFECYCLE):
        body = desk.schema(SchemaRequest(7, described.id))
        assert body is not None
        assert read_answer(body).name == described.id.class_name
    assert desk.schema(SchemaRequest(7, SchemaId("org.libvirt", "Domain", hash=NODE.id.hash))) is None


def test_an_indication_tells_of_one_class_and_of_few_objects() -> None:
    objects = objects_with(IN_AN_INDICATION + 1)
    objects.put(FENCE_CONTROL, "hosta", {}, 1)
    told = indications(AGENT, objects.take_changes())
    assert [len(one.items) for one in told] == [IN_AN_INDICATION, 1, 1]
