"""What protects a connection of a bus, and who says who this host is."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from fencebus_agent.bus_tls import context_of, speaks_for_itself
from fencebus_schemas.bus_url import AMQP_0, Tls, brokers
from tests.managers.certificates import made


def test_a_certificate_is_always_verified_and_its_name_compared(tmp_path: Path) -> None:
    context = context_of(Tls())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(FileNotFoundError):
        context_of(Tls(ca_file=str(tmp_path / "none")))


def test_a_certificate_that_is_none_is_an_error_of_the_system_as_a_file_that_is_missing_is(tmp_path: Path) -> None:
    ca, rubbish = made(tmp_path).ca, tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    with pytest.raises(OSError, match="PEM"):
        context_of(Tls(str(ca), str(rubbish), str(rubbish)), ssl.Purpose.CLIENT_AUTH)


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
    assert speaks_for_itself(brokers(url, AMQP_0)[0], tls) is alone
