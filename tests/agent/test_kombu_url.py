"""Bus URLs for RabbitMQ: what they name, what they show, and what is no URL."""

from __future__ import annotations

import ssl

import pytest

from fencebus_agent.kombu_bus import KombuBus
from fencebus_agent.kombu_url import BadBusUrl, Broker, Tls, parse, speaks_for_itself, tls_options


@pytest.mark.parametrize(
    ("text", "brokers"),
    (
        ("amqp://rabbit", (Broker("rabbit", 5672, "/", "", "", False),)),
        ("amqps://rabbit/", (Broker("rabbit", 5671, "/", "", "", True),)),
        ("amqp://u:p@h:1/v", (Broker("h", 1, "v", "u", "p", False),)),
        ("amqp://u%40x:p%2F%2C%3A@h/%2Fv%20w", (Broker("h", 5672, "/v w", "u@x", "p/,:", False),)),
        ("amqp://[::1]:7", (Broker("::1", 7, "/", "", "", False),)),
        ("amqp://a, amqps://b:9", (Broker("a", 5672, "/", "", "", False), Broker("b", 9, "/", "", "", True))),
    ),
)
def test_a_url_names_brokers_in_their_order(text: str, brokers: tuple[Broker, ...]) -> None:
    assert parse(text) == brokers


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("", "bus URL 1: it has to begin with amqp:// or amqps://"),
        ("amqp1://host", "bus URL 1: it has to begin"),
        ("amqp://host,", "bus URL 2: it has to begin"),
        ("amqp://u:secret@", "bus URL 1: it names no host"),
        ("amqp://u:secret@h:port", "bus URL 1: not a URL"),
        ("amqp://u:secret@h:99999", "bus URL 1: not a URL"),
        ("amqp://u:secret@[h", "bus URL 1: not a URL"),
        ("amqp://u:secret@h/a/b", "bus URL 1: something follows"),
        ("amqp://u:secret@h/v?heartbeat=1", "bus URL 1: something follows"),
    ),
)
def test_what_is_no_url_is_an_error_that_tells_no_password(text: str, said: str) -> None:
    with pytest.raises(BadBusUrl) as raised:
        KombuBus(text)
    assert str(raised.value).startswith(said)
    assert "secret" not in str(raised.value) + repr(raised.value)


def test_a_broker_is_shown_without_its_password() -> None:
    (broker,) = parse("amqps://u:secret@[::1]/v")
    assert str(broker) == "amqps://u@[::1]:5671/v"
    assert "secret" not in repr(broker)
    assert str(parse("amqp://h")[0]) == "amqp://h:5672"


def test_a_certificate_is_always_verified_and_its_name_compared() -> None:
    (secure,) = parse("amqps://rabbit.example")
    options = tls_options(secure, Tls("ca", "cert", "key"))
    assert isinstance(options, dict)
    assert options["cert_reqs"] is ssl.CERT_REQUIRED
    assert options["server_hostname"] == "rabbit.example"
    assert [options[name] for name in ("ca_certs", "certfile", "keyfile")] == ["ca", "cert", "key"]
    assert tls_options(parse("amqp://h")[0], Tls("ca")) is False


@pytest.mark.parametrize(
    ("url", "tls", "alone"),
    (
        ("amqps://h", Tls("ca", "cert", "key"), True),
        ("amqps://user@h", Tls("ca", "cert", "key"), False),
        ("amqps://h", Tls("ca"), False),
        ("amqp://h", Tls("ca", "cert", "key"), False),
    ),
)
def test_a_certificate_says_who_the_host_is_where_the_url_names_no_user(url: str, tls: Tls, alone: bool) -> None:
    assert speaks_for_itself(parse(url)[0], tls) is alone
