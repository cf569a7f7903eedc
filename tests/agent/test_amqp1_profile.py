"""How brokers want their addresses spelt."""

from __future__ import annotations

import pytest

from fencebus_agent.amqp1_profile import (
    Artemis,
    Node,
    Peer,
    Profile,
    Qpidd,
    RabbitMq3,
    RabbitMq4,
    profile_of,
    reply_address,
)
from fencebus_agent.bus import Address

TOPIC, DIRECT = Address("qmf.default.topic", "agent.ind.#"), Address("qmf.default.direct", "fencebus:libvirt-qmf:a/b")


@pytest.mark.parametrize(
    ("product", "version", "kind"),
    (
        ("RabbitMQ", "3.10.8", RabbitMq3),
        ("RabbitMQ", "4.1.0", RabbitMq4),
        ("qpid-cpp", "1.40.0", Qpidd),
        ("apache-activemq-artemis", "2.30.0", Artemis),
    ),
)
def test_a_broker_is_known_by_what_it_calls_itself(product: str, version: str, kind: type[Profile]) -> None:
    assert type(profile_of(product, version)) is kind


@pytest.mark.parametrize(("product", "version"), (("", ""), ("fencebus", "1"), ("qpid-dispatch-router", "1.19")))
def test_a_broker_of_another_kind_is_none(product: str, version: str) -> None:
    assert profile_of(product, version) is None


def test_qpidd_and_peers_bind_by_filters() -> None:
    for profile in (Qpidd(), Peer()):
        topic, direct = profile.source(TOPIC), profile.source(DIRECT)
        assert (topic.address, topic.binding) == (
            "qmf.default.topic",
            ("apache.org:legacy-amqp-topic-binding:string", "agent.ind.#"),
        )
        assert (direct.address, direct.binding) == (
            "qmf.default.direct",
            ("apache.org:legacy-amqp-direct-binding:string", DIRECT.key),
        )
        assert profile.target(DIRECT) == profile.to(DIRECT) == "qmf.default.direct"
        assert profile.target(Address("", "queue")) == "queue"


def test_of_qpidd_no_queue_is_taken_for_an_exchange_and_what_it_does_not_make_itself_is_to_be_made() -> None:
    own = Qpidd().node("qmf.blue.direct", ours=True)
    assert own == Node(("topic", "create-on-demand"), (("exchange-type", "direct"),))
    assert Qpidd().node("qmf.blue.topic", ours=True).properties == (("exchange-type", "topic"),)
    for exchange, ours in ((DIRECT.exchange, True), (TOPIC.exchange, True), ("qmf.blue.topic", False)):
        assert Qpidd().node(exchange, ours=ours) == Node(("topic",))
    assert Qpidd().node("", ours=False) == Node(("queue",))


@pytest.mark.parametrize("profile", (Peer(), RabbitMq3(), RabbitMq4()))
def test_others_are_told_nothing_of_the_kind(profile: Profile) -> None:
    for exchange in ("qmf.blue.topic", ""):
        assert profile.node(exchange, ours=True) == Node()


def test_rabbitmq_has_both_in_one_address() -> None:
    assert RabbitMq3().source(TOPIC).address == "/exchange/qmf.default.topic/agent.ind.#"
    assert RabbitMq3().source(DIRECT).address == "/exchange/qmf.default.direct/fencebus:libvirt-qmf:a%2Fb"
    assert RabbitMq3().target(DIRECT) == "/exchange/qmf.default.direct"
    assert RabbitMq3().target(Address("", "queue")) is None
    assert RabbitMq4().target(DIRECT) == "/exchanges/qmf.default.direct"
    assert RabbitMq4().target(Address("", "a/b")) == "/queues/a%2Fb"


def test_artemis_has_words_instead_of_exchanges() -> None:
    assert Artemis().source(TOPIC).address == "qmf.default.topic.agent.ind.#"
    assert Artemis().node(TOPIC.exchange, ours=True) == Node(("topic",))
    assert Artemis().node("", ours=False) == Node()
    assert (Artemis().target(TOPIC), Artemis().to(DIRECT)) == ("", "qmf.default.direct.fencebus:libvirt-qmf:a/b")


@pytest.mark.parametrize(
    ("text", "address"),
    (
        ("", None),
        ("qmf.default.direct/a/b", Address("qmf.default.direct", "a/b")),
        ("queue", Address("", "queue")),
        ("/queue/qmf.default.direct/key", Address("qmf.default.direct", "key")),
        ("/queue/queue", Address("", "queue")),
        ("/exchange/qmf.default.direct/a%2Fb", Address("qmf.default.direct", "a/b")),
        ("/exchanges/qmf.default.direct/a", Address("qmf.default.direct", "a")),
        ("/queues/a%2Fb", Address("", "a/b")),
    ),
)
def test_a_reply_to_is_read_in_every_spelling(text: str, address: Address | None) -> None:
    assert reply_address(text) == address
