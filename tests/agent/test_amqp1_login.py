"""How a client of AMQP 1.0 logs in."""

from __future__ import annotations

import pytest

from fencebus_agent.amqp1_login import greeting_of
from fencebus_schemas.bus_url import AMQP_1, Tls, brokers
from tests.components import require_module

require_module("proton", extra="qmf")


@pytest.mark.parametrize(
    ("url", "tls", "mechanism", "hostname"),
    (
        ("amqp1://u:p@host", Tls(), "PLAIN", "host"),
        ("amqp1s://u:p@host/v", Tls(cert_file="c"), "PLAIN", "vhost:v"),
        ("amqp1s://host", Tls(cert_file="c"), "EXTERNAL", "host"),
        ("amqp1s://host/%2F", Tls(cert_file="c"), "EXTERNAL", "host"),
        ("amqp1://host", Tls(cert_file="c"), "ANONYMOUS", "host"),
        ("amqp1s://host", Tls(), "ANONYMOUS", "host"),
    ),
)
def test_a_user_logs_in_by_password_and_a_certificate_by_itself(
    url: str, tls: Tls, mechanism: str, hostname: str
) -> None:
    greeting = greeting_of(brokers(url, AMQP_1)[0], tls, "me", 10.0)
    assert (greeting.mechanism, greeting.hostname) == (mechanism, hostname)
