"""What a console believes of agents and their objects, and to which questions answers belong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fencebus_agent import qmf_inquiries, qmf_picture
from fencebus_agent.qmf_calls import CallRefused
from fencebus_agent.qmf_inquiries import Inquiries, NoAnswer
from fencebus_agent.qmf_picture import Heard, Picture, speaks_for_itself
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_classes import DOMAIN, NODE
from fencebus_schemas.qmf2_data import Data, ObjectId, SchemaId
from fencebus_schemas.qmf2_messages import Content, Failure, MethodResponse, QueryResponse
from fencebus_schemas.qmf2_names import AgentName

A, B = "fencebus:libvirt-qmf:a", "fencebus:libvirt-qmf:b"
DOMAINS = SchemaId("org.libvirt", "Domain")


def attributes(agent: str = A, epoch: int = 1, updated: int = 1) -> AgentAttributes:
    return AgentAttributes(AgentName.parse(agent), 0, 60, epoch, updated)


def domain(
    vm: str = "vm7",
    agent: str = A,
    state: str = "running",
    owner: str | None = None,
    deleted: int = 0,
    updated: int = 0,
) -> Data:
    host = agent.split(":")[2]
    values = {"uuid": vm, "state": state, "ownerHost": host if owner is None else owner}
    return Data(ObjectId(agent, f"org.libvirt:Domain:{vm}"), DOMAIN.id, values, updated=updated, deleted=deleted)


def known(*agents: str, users: dict[str, str] | None = None) -> Picture:
    picture = Picture(users or {})
    for agent in agents:
        picture.heard(agent, attributes(agent), f"user-{agent}", 0.0)
    return picture


def vms(picture: Picture) -> list[object]:
    return [one.values["uuid"] for one in picture.objects(DOMAINS)]


def test_a_heartbeat_says_who_is_new_who_started_again_and_whose_classes_changed() -> None:
    picture = Picture({})
    said = [(1, 1), (1, 1), (2, 1), (2, 5)]
    heard = [picture.heard(A, attributes(epoch=epoch, updated=updated), "", 0.0) for epoch, updated in said]
    assert heard == [Heard.NEW, Heard.ALIVE, Heard.RESTARTED, Heard.CHANGED]
    assert [str(one.name) for one in picture.agents()] == [A]


def test_an_agent_has_to_be_asked_again_after_its_restart() -> None:
    picture = known(A)
    picture.begin(A)
    assert picture.answered(A, DOMAINS, [domain()])
    assert picture.finish(A)
    agent = picture.agent(A)
    assert agent is not None
    assert agent.synced
    picture.heard(A, attributes(epoch=2), f"user-{A}", 1.0)
    agent = picture.agent(A)
    assert agent is not None
    assert not agent.synced


def test_objects_of_an_agent_that_is_not_known_are_not_believed() -> None:
    picture = Picture({})
    assert picture.told(A, [domain()], "", 0.0) == ()
    assert vms(picture) == []


def test_what_is_told_is_kept_until_it_is_told_to_be_gone() -> None:
    picture = known(A)
    assert picture.told(A, [domain("vm7"), domain("vm8")], f"user-{A}", 1.0) == (domain("vm7"), domain("vm8"))
    assert vms(picture) == ["vm7", "vm8"]
    picture.told(A, [domain("vm7", deleted=5)], f"user-{A}", 2.0)
    assert vms(picture) == ["vm8"]


def test_whoever_speaks_as_an_agent_with_another_user_is_not_believed() -> None:
    picture = known(A)
    assert picture.heard(A, attributes(epoch=2), "mallory", 1.0) is Heard.IMPOSTOR
    assert picture.told(A, [domain()], "mallory", 1.0) == ()
    assert picture.heard(B, attributes(A), "", 1.0) is Heard.IMPOSTOR
    agent = picture.agent(A)
    assert agent is not None
    assert (agent.attributes.epoch, vms(picture)) == (1, [])


def test_the_configured_user_counts_from_the_first_word_on() -> None:
    picture = Picture({A: "hosta"})
    assert picture.heard(A, attributes(), "", 0.0) is Heard.IMPOSTOR
    assert picture.heard(A, attributes(), "hosta", 0.0) is Heard.NEW


def test_an_agent_that_speaks_of_anothers_objects_is_not_believed() -> None:
    picture = known(A, B)
    lies = [replace(domain(), id=ObjectId(B, "x")), domain("vm9", owner="b")]
    assert picture.told(A, lies, f"user-{A}", 1.0) == ()
    picture.begin(A)
    picture.answered(A, DOMAINS, lies)
    assert vms(picture) == []


def test_agents_of_others_make_may_say_what_they_like_of_owners() -> None:
    assert speaks_for_itself("x:y:z", domain(agent="x:y:z", owner="whoever"))
    assert speaks_for_itself("x", replace(domain(), id=ObjectId("x", "o")))


def test_two_agents_that_claim_one_vm_are_a_conflict_and_a_dead_copy_is_none() -> None:
    picture = known(A, B)
    for agent in (A, B):
        picture.told(agent, [domain("vm7", agent)], f"user-{agent}", 1.0)
    assert picture.conflicts() == {"vm7": (A, B)}
    picture.told(B, [domain("vm7", B, "shutoff")], f"user-{B}", 2.0)
    assert picture.conflicts() == {}


def test_what_an_answer_does_not_name_any_more_is_gone_but_not_of_classes_that_were_not_asked_for() -> None:
    picture = known(A)
    node = Data(ObjectId(A, "org.libvirt:Node:a"), NODE.id, {"hostname": "a"})
    picture.told(A, [domain("vm7"), domain("vm8"), node], f"user-{A}", 1.0)
    picture.begin(A)
    picture.answered(A, DOMAINS, [domain("vm8")])
    assert vms(picture) == ["vm8"]
    assert picture.objects(NODE.id) == [node]


def test_what_is_told_while_an_answer_is_on_its_way_is_newer_than_it() -> None:
    picture = known(A)
    picture.told(A, [domain("old")], f"user-{A}", 1.0)
    picture.begin(A)
    picture.told(A, [domain("vm7", state="shutoff"), domain("old", deleted=5), domain("new")], f"user-{A}", 2.0)
    picture.answered(A, DOMAINS, [domain("vm7"), domain("old")])
    assert sorted((str(one.values["uuid"]), one.values["state"]) for one in picture.objects(DOMAINS)) == [
        ("new", "running"),
        ("vm7", "shutoff"),
    ]


def test_the_answer_of_an_earlier_run_says_nothing_about_this_one() -> None:
    picture = known(A)
    picture.begin(A)
    picture.heard(A, attributes(epoch=2), f"user-{A}", 1.0)
    assert not picture.answered(A, DOMAINS, [domain()])
    assert not picture.finish(A)
    assert vms(picture) == []
    assert not Picture({}).answered(A, DOMAINS, [domain()])


def test_whoever_is_silent_for_three_heartbeats_is_forgotten_with_its_objects_and_its_user() -> None:
    picture = known(A, B)
    picture.told(A, [domain()], f"user-{A}", 1.0)
    assert picture.age(180.0) == []
    assert [str(one.name) for one in picture.age(181.0)] == [B]
    assert [str(one.name) for one in picture.age(182.0)] == [A]
    assert vms(picture) == []
    assert picture.heard(A, attributes(), "another", 200.0) is Heard.NEW


def test_what_an_answer_says_of_later_than_what_was_told_before_it_counts() -> None:
    picture = known(A)
    picture.begin(A)
    picture.told(A, [domain(state="running", updated=5), domain("back", deleted=6, updated=6)], f"user-{A}", 1.0)
    picture.answered(A, DOMAINS, [domain(state="shutoff", updated=7), domain("back", updated=8)])
    assert {one.values["uuid"]: one.values["state"] for one in picture.objects(DOMAINS)} == {
        "vm7": "shutoff",
        "back": "running",
    }


def test_whoever_makes_up_agents_and_objects_without_end_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(qmf_picture, "MOST_AGENTS", 1)
    monkeypatch.setattr(qmf_picture, "MOST_OBJECTS", 2)
    picture = known(A)
    assert picture.heard(B, attributes(B), "", 0.0) is Heard.TOO_MANY
    picture.told(A, [domain(str(number)) for number in range(9)], f"user-{A}", 1.0)
    picture.told(A, [domain("1", state="shutoff")], f"user-{A}", 1.0)
    assert [(one.values["uuid"], one.values["state"]) for one in picture.objects(DOMAINS)] == [
        ("0", "running"),
        ("1", "shutoff"),
    ]


async def test_an_answer_that_never_ends_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmf_inquiries, "MOST_ITEMS", 2)
    inquiries = Inquiries()
    number, inquiry = inquiries.open(A)
    for part in range(3):
        inquiries.take(number, QueryResponse(A, Content.DATA, (domain(str(part)),), True, part))
    with pytest.raises(NoAnswer, match="more than 2 items"):
        await inquiry.done


async def test_an_answer_of_which_a_part_was_lost_is_none() -> None:
    inquiries = Inquiries()
    number, inquiry = inquiries.open(A)
    inquiries.take(number, QueryResponse(A, Content.DATA, (domain("1"),), partial=True))
    inquiries.take(number, QueryResponse(A, Content.DATA, (domain("3"),), part=2))
    with pytest.raises(NoAnswer, match="part 1 of the answer was lost"):
        await inquiry.done


async def test_an_answer_in_parts_is_complete_with_the_one_after_which_nothing_follows() -> None:
    inquiries = Inquiries()
    number, inquiry = inquiries.open(A)
    assert inquiries.take(number, QueryResponse(A, Content.DATA, (domain("1"),), partial=True))
    assert not inquiry.done.done()
    assert inquiries.take(number, QueryResponse(A, Content.DATA, (domain("2"),)))
    assert await inquiry.done == (domain("1"), domain("2"))
    assert inquiries.take(number, QueryResponse(A, Content.DATA, (domain("3"),)))
    inquiries.close(number)
    assert not inquiries.take(number, QueryResponse(A, Content.DATA))


async def test_only_the_agent_that_was_asked_can_answer() -> None:
    inquiries = Inquiries()
    number, inquiry = inquiries.open(A)
    assert not inquiries.take(number, MethodResponse(B, {}))
    assert not inquiries.take("", MethodResponse(A, {}))
    assert not inquiry.done.done()
    assert inquiries.take(number, MethodResponse(A, {"x": 1}))
    assert await inquiry.done == {"x": 1}
    inquiries.lose("too late to matter")
    assert await inquiry.done == {"x": 1}


async def test_an_exception_and_a_lost_connection_are_told_to_whoever_waits() -> None:
    inquiries = Inquiries()
    number, refused = inquiries.open(A)
    _, lost = inquiries.open(A)
    inquiries.take(number, Failure(A, 6, "no"))
    inquiries.lose("the broker is down")
    with pytest.raises(CallRefused, match=r"no \(6\)"):
        await refused.done
    with pytest.raises(NoAnswer, match="libvirt-qmf:a: the broker is down"):
        await lost.done
