"""A real qpidd, where there is one, on rendered settings: who is let in, what each may do, hosts that fence there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fencebus_agent.bus import Address, BusMessage, BusRefused, Priority
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_broker import rights
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action
from fencebus_schemas.qmf2_names import LOCATE_KEY, TO_AGENTS
from tests.broker_config.hosts import LIMIT, ask_everything, comes_true, hosts_at
from tests.broker_config.test_amqp1_on_rabbitmq import stay_outside
from tests.broker_config.test_rights_on_rabbitmq import AGENT2, ALL_HOSTS, DIRECT, HOST2, LOCATE, TOPIC, beat
from tests.qpidd import OPERATOR, WATCHER, RenderedQpidd, rendered_qpidd
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("qpidd"), pytest.mark.timeout(120)]

CALL2 = Address(DIRECT, str(rights.agent("host2")))
ALLOWED = {
    "host1": (ALL_HOSTS, HOST2, beat("host1"), Address(TOPIC, "direct-console.watcher.1")),
    WATCHER: (LOCATE,),
    OPERATOR: (LOCATE, AGENT2, CALL2),
}
REFUSED = {
    "host1": (beat("host2"), beat("host11"), Address(TOPIC, LOCATE_KEY), AGENT2, Address("amq.topic", "x")),
    WATCHER: (ALL_HOSTS, HOST2, AGENT2, CALL2, beat("host1"), Address("amq.topic", "x")),
    OPERATOR: (ALL_HOSTS, HOST2, beat("host1")),
}


@pytest.fixture(scope="module")
def qpidd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedQpidd]:
    """One for all."""
    with rendered_qpidd(tmp_path_factory.mktemp("site")) as broker:
        yield broker


async def test_three_hosts_fence_each_others_vms(qpidd: RenderedQpidd) -> None:
    async with hosts_at(qpidd, {"host1": (), "host2": (), "host3": ()}) as hosts:
        listed = (await hosts["host1"].ask(Action.LIST, "")).vms
        assert [record.name for record in listed] == ["vm1", "vm2", "vm3"]
        await ask_everything(hosts["host1"], hosts["host2"], 2)
        await ask_everything(hosts["host3"], hosts["host1"], 1)


@pytest.mark.parametrize("user", ALLOWED)
async def test_a_user_sends_where_it_has_to_and_nowhere_else(qpidd: RenderedQpidd, user: str) -> None:
    bus = qpidd.bus(user)
    async with running(bus):
        for to in ALLOWED[user]:
            await bus.send(to, BusMessage(ttl=0.001), Deadline.after(LIMIT), Priority.COMMAND)
        for to in REFUSED[user]:
            with pytest.raises(BusRefused):
                await bus.send(to, BusMessage(), Deadline.after(LIMIT), Priority.COMMAND)


async def test_others_are_told_who_sends(qpidd: RenderedQpidd) -> None:
    one, other = qpidd.bus("host1"), qpidd.bus("host2")
    heard: list[BusMessage] = []
    place = Address(DIRECT, "fencebus.host.host2")
    other.subscribe(place, heard.append)
    async with running(one), running(other):
        await one.send(place, BusMessage(b"x"), Deadline.after(LIMIT), Priority.COMMAND)
        assert await comes_true(lambda: bool(heard))
    assert heard[0].user_id == "host1"


@pytest.mark.parametrize(
    ("user", "binding"),
    (
        ("host1", AGENT2),
        ("host1", HOST2),
        ("host1", CALL2),
        ("host1", Address(TOPIC, "#")),
        (WATCHER, ALL_HOSTS),
        (WATCHER, HOST2),
        (WATCHER, CALL2),
        (WATCHER, Address(TOPIC, TO_AGENTS)),
        (OPERATOR, Address(TOPIC, "direct-console.watcher.#")),
    ),
)
async def test_a_user_does_not_hear_what_is_for_another(qpidd: RenderedQpidd, user: str, binding: Address) -> None:
    bus = qpidd.bus(user)
    bus.subscribe(binding, lambda _message: None)
    await stay_outside(bus)


async def test_whoever_is_not_that_host_is_not_let_in(qpidd: RenderedQpidd) -> None:
    url, login = qpidd.url("host1"), f"host1:{qpidd.password('host1')}@"
    others = (f"host1:{qpidd.password('host2')}@", "")
    await stay_outside(
        *(bus_at(url.replace(login, other), qpidd.terms("host1")) for other in others),
        bus_at(url, BusTerms(tls=type(qpidd.terms("host1").tls)(qpidd.terms("host1").tls.ca_file))),
    )
