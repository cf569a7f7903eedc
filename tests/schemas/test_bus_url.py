"""Bus URLs: which brokers they name, what they show, and what is no URL."""

from __future__ import annotations

import pytest

from fencebus_schemas.bus_url import AMQP_0, AMQP_1, BadBusUrl, Broker, Tls, bracketed, brokers, location, parts_of


@pytest.mark.parametrize(
    ("text", "named"),
    (
        ("amqp://rabbit", (Broker("amqp", "rabbit", 5672, "/", "", ""),)),
        ("amqps://rabbit/", (Broker("amqps", "rabbit", 5671, "/", "", ""),)),
        ("amqp://u:p@h:1/v", (Broker("amqp", "h", 1, "v", "u", "p"),)),
        ("amqp://u%40x:p%2F%2C%3A@h/%2Fv%20w", (Broker("amqp", "h", 5672, "/v w", "u@x", "p/,:"),)),
        ("amqp://[::1]:7", (Broker("amqp", "::1", 7, "/", "", ""),)),
        ("amqp://a, amqps://b:9", (Broker("amqp", "a", 5672, "/", "", ""), Broker("amqps", "b", 9, "/", "", ""))),
    ),
)
def test_a_url_names_brokers_in_their_order(text: str, named: tuple[Broker, ...]) -> None:
    assert brokers(text, AMQP_0) == named


def test_the_same_is_written_for_amqp_1_0() -> None:
    assert brokers("amqp1://u%40x:p%2Fw@host/v%2Fh, amqp1s://[::1]:99,amqp1s://host/%2F", AMQP_1) == (
        Broker("amqp1", "host", 5672, "v/h", "u@x", "p/w"),
        Broker("amqp1s", "::1", 99, "/", "", ""),
        Broker("amqp1s", "host", 5671, "/", "", ""),
    )


def test_only_the_schemes_with_an_s_are_spoken_over_tls() -> None:
    assert [each.secure for each in brokers("amqp://a,amqps://b", AMQP_0)] == [False, True]
    assert [each.secure for each in brokers("amqp1://a,amqp1s://b", AMQP_1)] == [False, True]


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
        ("amqp://u:secret@h#x", "bus URL 1: something follows"),
    ),
)
def test_what_is_no_url_is_an_error_that_tells_no_password(text: str, said: str) -> None:
    with pytest.raises(BadBusUrl) as raised:
        brokers(text, AMQP_0)
    assert str(raised.value).startswith(said)
    assert "secret" not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize(
    ("url", "number", "said"),
    (
        ("amqp://host", 1, "amqp1://"),
        ("amqp1://host,x", 2, "amqp1s://"),
        ("amqp1://", 1, "no host"),
        ("amqp1://h:x", 1, "port"),
        ("amqp1://h/a/b", 1, "virtual host"),
        ("amqp1://h/?x", 1, "virtual host"),
    ),
)
def test_the_same_is_refused_for_amqp_1_0(url: str, number: int, said: str) -> None:
    with pytest.raises(BadBusUrl) as caught:
        brokers(url, AMQP_1)
    assert caught.value.number == number
    assert said in str(caught.value)


def test_a_broker_is_shown_without_its_password() -> None:
    for scheme, schemes in (("amqps", AMQP_0), ("amqp1s", AMQP_1)):
        (broker,) = brokers(f"{scheme}://u:secret@[::1]/v", schemes)
        assert str(broker) == f"{scheme}://u@[::1]:5671/v"
        assert "secret" not in repr(broker)
    assert str(brokers("amqp://h", AMQP_0)[0]) == "amqp://h:5672"


def test_an_ipv6_address_stands_in_brackets_before_a_port() -> None:
    assert [location(host, 1) for host in ("h", "10.0.0.1", "::1")] == ["h:1", "10.0.0.1:1", "[::1]:1"]
    assert [bracketed(host) for host in ("h", "::1")] == ["h", "[::1]"]


def test_the_parts_of_a_url_tell_an_empty_password_from_none() -> None:
    assert parts_of(1, "x://u%40@h", ("x",)).password is None
    parts = parts_of(1, "x://u%40:%2C@h:7/p%2F?q", ("x", "y"))
    assert (parts.scheme, parts.user, parts.password, parts.host, parts.port) == ("x", "u@", ",", "h", 7)
    assert (parts.path, parts.more) == ("/p%2F", True)
    assert "," not in repr(parts).partition("password")[2].partition("host")[0]


def test_without_files_of_tls_the_authorities_of_the_system_count() -> None:
    assert Tls() == Tls(None, None, None)
