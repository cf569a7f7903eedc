"""Which library a bus URL means."""

from __future__ import annotations

import pytest

from fencebus_agent.bus_at import AMQP_0, AMQP_1, MAKERS, PEERS, BusTerms, bus_at, speaks, split
from fencebus_schemas.bus_url import BadBusUrl, Tls
from tests.components import require_module


@pytest.mark.parametrize(
    ("urls", "protocol"),
    (
        ("amqp://a", AMQP_0),
        ("amqp://a:1/v, amqps://b", AMQP_0),
        ("amqp1://a,amqp1s://b", AMQP_1),
        ("peers://a:1,b:2", PEERS),
        ("peers://a:1, peers://b:2", PEERS),
    ),
)
def test_all_urls_of_a_list_speak_the_same(urls: str, protocol: str) -> None:
    assert speaks(urls) == protocol


@pytest.mark.parametrize(
    ("urls", "number", "said"),
    (
        ("", 1, "amqp://"),
        ("a", 1, "amqp://"),
        ("http://a", 1, "amqp1s://"),
        ("amqp://a,b", 2, "amqp://"),
        ("amqp://a,amqp1://b", 2, "it speaks AMQP 1.0, and those before it AMQP 0-9-1"),
        ("peers://a,amqp://b", 2, "direct links"),
    ),
)
def test_a_list_that_is_not_of_one_kind_is_refused_with_the_number_of_the_url(
    urls: str, number: int, said: str
) -> None:
    with pytest.raises(BadBusUrl) as caught:
        speaks(urls)
    assert caught.value.number == number
    assert said in str(caught.value)


def test_the_peers_of_a_list_share_the_scheme_of_the_first() -> None:
    assert split("peers://a:1, b:2") == ("peers://a:1", "peers://b:2")
    assert split("amqp://a , b") == ("amqp://a", "b")


def test_a_bus_over_amqp_0_9_1_is_made_without_connecting() -> None:
    require_module("kombu", extra="rabbitmq")
    bus = bus_at("amqp://u:secret@a, amqps://b", BusTerms(domain="east"))
    assert bus.name == "amqp://u@a:5672,amqps://b:5671"
    assert bus.own.exchange == "qmf.east.direct"


def test_a_bus_over_amqp_1_0_is_made_without_connecting() -> None:
    require_module("proton", extra="qmf")
    bus = bus_at("amqp1://u:secret@a, amqp1s://b", BusTerms(domain="east"))
    assert bus.name == "amqp1://u@a:5672,amqp1s://b:5671"
    assert bus.own.exchange == "qmf.east.direct"


def test_direct_links_are_made_from_the_hosts_key_or_their_certificates_and_from_nothing_else() -> None:
    require_module("proton", extra="qmf")
    assert bus_at("peers://a,b", BusTerms(host="a", keys=(b"k",))).name == "peers://a:1230,b:1230"
    bus_at("peers://a,b", BusTerms(host="b", tls=Tls(cert_file="b.pem", key_file="b.key")))
    with pytest.raises(BadBusUrl, match="a certificate, or a key"):
        bus_at("peers://a,b", BusTerms(host="a"))
    with pytest.raises(BadBusUrl, match="none of these is this host, 'c'"):
        bus_at("peers://a,b", BusTerms(host="c", keys=(b"k",)))


def test_what_is_not_in_this_version_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fencebus_agent.bus_at.MAKERS", {AMQP_0: MAKERS[AMQP_0]})
    with pytest.raises(BadBusUrl, match=r"AMQP 1\.0 is not in this version"):
        bus_at("amqp1://a", BusTerms())
