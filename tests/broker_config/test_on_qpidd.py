"""A real qpidd, where there is one, on rendered settings: who is let in, what each may do, hosts that fence there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_agent.amqp1_link import BrokerLink, Hooks
from fencebus_agent.amqp1_login import greeting_of
from fencebus_agent.amqp1_profile import Node, Qpidd, Source
from fencebus_agent.amqp1_speaking import Boxes
from fencebus_agent.bus import Address, BusMessage, BusUnreachable, Priority
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_agent.bus_tls import context_of
from fencebus_broker import rights
from fencebus_schemas.bus_url import AMQP_1, Broker, Tls, brokers
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, VmState
from fencebus_schemas.qmf2_names import LOCATE_KEY, TO_AGENTS
from tests.broker_config.hosts import LIMIT, ask_everything, comes_true, hosts_at, kills, sends_only, succeeds_at_last
from tests.broker_config.test_amqp1_on_rabbitmq import stay_outside
from tests.broker_config.test_daemons import ask_by_the_c_client, two_on
from tests.broker_config.test_rights_on_rabbitmq import AGENT2, ALL_HOSTS, DIRECT, HOST2, LOCATE, TOPIC, beat
from tests.qpidd import OPERATOR, WATCHER, RenderedQpidd, rendered_qpidd, require_qpidd, running_qpidd
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
    await sends_only(qpidd.bus(user), ALLOWED[user], REFUSED[user])


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


async def test_hosts_at_brokers_that_fetch_from_each_other_fence_each_others_vms(tmp_path: Path) -> None:
    with rendered_qpidd(tmp_path, federated=True) as brokers:
        async with hosts_at(brokers, {"host1": (0,), "host2": (1,)}) as hosts:
            await ask_everything(hosts["host1"], hosts["host2"], 2)
            await ask_everything(hosts["host2"], hosts["host1"], 1)


@pytest.mark.parametrize("trouble", ("killed", "frozen"))
async def test_a_fence_outlives_its_broker_or_fails_and_is_never_done_twice(tmp_path: Path, trouble: str) -> None:
    with rendered_qpidd(tmp_path) as broker:
        (server,) = broker.servers
        async with hosts_at(broker, {"host1": (), "host2": ()}) as hosts:
            asker, owner = hosts["host1"], hosts["host2"]
            asked = asyncio.create_task(asker.ask(Action.OFF, "vm2", seconds=15))
            server.send(signal.SIGKILL if trouble == "killed" else signal.SIGSTOP)
            await asyncio.sleep(0.2)
            if trouble == "killed":
                server.process.wait(30)
                server.start()
            else:
                server.send(signal.SIGCONT)
            answer = await asked
            assert not answer.outcome.ok or await owner.state(2) is VmState.OFF
            await succeeds_at_last(asker, owner, 2)
            assert kills(owner) == 1


async def test_nobody_makes_a_queue_that_is_named_like_an_exchange(qpidd: RenderedQpidd) -> None:
    (broker,) = brokers(qpidd.url(WATCHER), AMQP_1)
    with pytest.raises(BusUnreachable, match="ACL denied queue create request from watcher"):
        await squat(broker, qpidd.terms(WATCHER).tls)


def test_the_c_client_has_a_vm_of_another_host_fenced_in_a_domain_whose_exchanges_the_broker_does_not_make(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with rendered_qpidd(tmp_path, "blue") as broker, two_on(broker.papers, tmp_path_factory.mktemp) as hosts:
        ask_by_the_c_client(*hosts)


async def test_on_one_that_lets_everybody_in_no_login_is_believed_and_no_queue_stands_before_an_exchange(
    tmp_path: Path,
) -> None:
    heard: list[BusMessage] = []
    with running_qpidd(require_qpidd(), tmp_path) as place:
        (broker,) = brokers(f"amqp1://{place}", AMQP_1)
        squatter = await squat(broker, Tls())
        host, forger = (bus_at(f"amqp1://{name}:any@{place}", BusTerms()) for name in ("host1", "admin"))
        host.subscribe(ALL_HOSTS, heard.append)
        async with running(host), running(forger):
            await forger.send(ALL_HOSTS, BusMessage(b"x"), Deadline.after(LIMIT), Priority.COMMAND)
            assert await comes_true(lambda: bool(heard))
        await squatter.leave()
    assert heard[0].user_id == ""


class Squatting(Qpidd):
    """Takes the exchange's name for a queue's, and has that queue made."""

    vouches = False

    def source(self, binding: Address) -> Source:
        """See Profile."""
        return Source(binding.exchange)

    def node(self, exchange: str, *, ours: bool) -> Node:
        """See Profile."""
        del exchange, ours
        return Node(("queue", "create-on-demand"), (("exclusive", True),))


async def squat(broker: Broker, tls: Tls) -> BrokerLink:
    """A queue named like the exchange for all, as long as the link lives."""
    hooks = Hooks(lambda _binding, _message: None, lambda _parcel, _error: None, lambda _reason: None)
    link = BrokerLink(
        "squatter", greeting_of(broker, tls, "squatter", 30.0), lambda: (ALL_HOSTS,), Boxes(), hooks, Squatting()
    )
    context = context_of(tls) if broker.secure else None
    await asyncio.get_running_loop().create_connection(
        lambda: link.engine, broker.host, broker.port, ssl=context, server_hostname=broker.host if context else None
    )
    async with asyncio.timeout(LIMIT):
        await link.ready
    return link


async def test_whoever_is_not_that_host_is_not_let_in(qpidd: RenderedQpidd) -> None:
    url, login = qpidd.url("host1"), f"host1:{qpidd.password('host1')}@"
    others = (f"host1:{qpidd.password('host2')}@", "")
    without = BusTerms(tls=Tls(qpidd.terms("host1").tls.ca_file))
    await stay_outside(
        *(bus_at(url.replace(login, other), qpidd.terms("host1")) for other in others), bus_at(url, without)
    )
