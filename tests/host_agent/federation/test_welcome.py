"""A host that has just begun is told at once who is here."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host.effects import Send
from fencebus_host.federation.machine import Federation
from fencebus_host.ownership import Ownership
from fencebus_schemas.model import HostId, Incarnation, VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Announce, Change, Message
from tests.host_agent.federation.courses import A, Table, incarnation
from tests.host_agent.federation.words import ME, MINE, VM, counting

NEW = HostId("new")


def announce(sender: HostId, who: Incarnation, token: str = "t") -> Announce:
    return Announce(sender, who, EVERYONE, 0, "", "", token)


def told(table: Table, message: Message) -> list[Announce]:
    """The announces with which it is answered."""
    table.hear(message)
    return table.sent(Announce)


def test_a_stranger_is_told_alone_and_once_who_is_here() -> None:
    table = Table()
    (answer,) = told(table, announce(NEW, incarnation(NEW)))
    assert (answer.sender, answer.incarnation, answer.to) == (ME, MINE, NEW)
    assert answer.token == table.machine._tokens.newest(table.now)
    assert told(table, announce(NEW, incarnation(NEW))) == []


def test_a_host_that_has_begun_anew_is_a_stranger_and_one_that_only_speaks_again_is_none() -> None:
    table = Table()
    assert told(table, announce(A, incarnation(A))) == []
    assert [each.to for each in told(table, announce(A, replace(incarnation(A), nonce="2")))] == [A]


def test_who_has_told_a_change_before_its_first_announce_is_a_stranger_still() -> None:
    table = Table()
    record = VmRecord(VM, "vm7", VmState.RUNNING, NEW, incarnation(NEW))
    assert told(table, Change(NEW, incarnation(NEW), EVERYONE, 1, "", record, False)) == []
    assert [each.to for each in told(table, announce(NEW, incarnation(NEW)))] == [NEW]


def test_an_answer_is_not_answered_nor_is_a_twin_under_our_own_name() -> None:
    table = Table()
    assert told(table, replace(announce(NEW, incarnation(NEW)), to=ME)) == []
    assert told(table, announce(ME, incarnation(A))) == []


def test_two_hosts_of_which_one_begins_know_of_each_others_vms_without_a_heartbeat() -> None:
    hosts = {}
    for name in (A, NEW):
        ownership = Ownership(name, incarnation(name))
        hosts[name] = Federation(name, incarnation(name), ownership, lambda _order: True, counting(), 0.0)
        hosts[name].inventory([VmRecord(VM, "vm7", VmState.RUNNING, name, incarnation(name))], 1.0)
    air = [each.message for each in hosts[NEW].connected(2.0) if isinstance(each, Send)]
    sent = 0
    while air:
        message = air.pop(0)
        sent += 1
        for name in set(hosts) - {message.sender}:
            air += [each.message for each in hosts[name].received(message, 2.0) if isinstance(each, Send)]
    for name, other in ((A, NEW), (NEW, A)):
        assert [each.host for each in hosts[name].ownership.claimants(VM)] == [A, NEW]
        assert hosts[name].ownership.quote(other)[0]
    assert sent == 6  # an announce, a fetch and an inventory each
