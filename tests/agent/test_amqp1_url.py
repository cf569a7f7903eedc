"""Which brokers a URL names, and how a client logs in."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from fencebus_agent.amqp1_url import Endpoint, greeting_of, parse, tls_context
from fencebus_agent.kombu_url import BadBusUrl, Tls
from tests.components import require_module

require_module("proton", extra="qmf")


def test_each_url_of_a_list_is_a_broker() -> None:
    assert parse("amqp1://u%40x:p%2Fw@host/v%2Fh, amqp1s://[::1]:99") == (
        Endpoint("host", 5672, "v/h", "u@x", "p/w", secure=False),
        Endpoint("::1", 99, "", "", "", secure=True),
    )
    assert parse("amqp1s://host/%2F")[0].vhost == ""


def test_no_password_is_shown() -> None:
    (broker,) = parse("amqp1://u:secret@host/v")
    assert str(broker) == "amqp1://u@host:5672/v"
    assert "secret" not in repr(broker)


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
def test_what_is_no_broker_is_refused(url: str, number: int, said: str) -> None:
    with pytest.raises(BadBusUrl) as caught:
        parse(url)
    assert caught.value.number == number
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("url", "tls", "mechanism", "hostname"),
    (
        ("amqp1://u:p@host", Tls(), "PLAIN", "host"),
        ("amqp1s://u:p@host/v", Tls(cert_file="c"), "PLAIN", "vhost:v"),
        ("amqp1s://host", Tls(cert_file="c"), "EXTERNAL", "host"),
        ("amqp1://host", Tls(cert_file="c"), "ANONYMOUS", "host"),
        ("amqp1s://host", Tls(), "ANONYMOUS", "host"),
    ),
)
def test_a_user_logs_in_by_password_and_a_certificate_by_itself(
    url: str, tls: Tls, mechanism: str, hostname: str
) -> None:
    greeting = greeting_of(parse(url)[0], tls, "me", 10.0)
    assert (greeting.mechanism, greeting.hostname) == (mechanism, hostname)


def test_a_broker_s_certificate_is_always_verified(tmp_path: Path) -> None:
    (plain,), (secure,) = parse("amqp1://h"), parse("amqp1s://h")
    assert tls_context(plain, Tls()) is None
    context = tls_context(secure, Tls())
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(FileNotFoundError):
        tls_context(secure, Tls(ca_file=str(tmp_path / "none")))
