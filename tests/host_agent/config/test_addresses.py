"""Which address of which family a listener binds."""

from __future__ import annotations

import pytest

from fencebus_host.config import key_table as keys
from fencebus_host.config.addresses import family_and_address, multicast_family_and_address
from fencebus_host.config.grammar import parse
from fencebus_host.config.model import Family
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.section import Reading

HERE = Where("f", 1)
V4, V6 = Family.IPV4, Family.IPV6


def tcp(inside: str) -> tuple[Family, str, list[str]]:
    problems = Problems()
    (item,) = parse(f"tcp {{ {inside} }}", "f", problems)
    family, address = family_and_address(Reading(item, keys.TCP, problems), HERE, problems)
    return family, address, [problem.code for problem in problems.in_order()]


def multicast(inside: str) -> tuple[Family, str, list[str]]:
    problems = Problems()
    (item,) = parse(f"multicast {{ {inside} }}", "f", problems)
    family, address = multicast_family_and_address(Reading(item, keys.MULTICAST, problems), HERE, problems)
    return family, address, [problem.code for problem in problems.in_order()]


@pytest.mark.parametrize(
    ("inside", "family", "address"),
    (
        ("", V4, "127.0.0.1"),
        ('family = "ipv4";', V4, "127.0.0.1"),
        ('family = "ipv6";', V6, "::1"),
        ('address = "192.0.2.1";', V4, "192.0.2.1"),
        ('address = "2001:db8::1";', V6, "2001:db8::1"),
        ('address = "fe80::1%eth0";', V6, "fe80::1%eth0"),
        ('address = "0.0.0.0";', V4, "0.0.0.0"),
        ('address = "::"; family = "IPV6";', V6, "::"),
        ('address = "host-1.example.";', V4, "host-1.example."),
        ('address = "host"; family = "ipv6";', V6, "host"),
    ),
)
def test_a_tcp_address_and_its_family(inside: str, family: Family, address: str) -> None:
    assert tcp(inside) == (family, address, [])


@pytest.mark.parametrize(
    "address", ("1.2.3", "1.2.3.4.5", "256.1.1.1", "a..b", "a b", "[::1]", "::1::", "*", "ä", "-" * 300)
)
def test_what_is_neither_an_address_nor_a_host_name_is_refused(address: str) -> None:
    assert tcp(f'address = "{address}";')[2] == ["bad-address"]


@pytest.mark.parametrize(
    ("inside", "family", "address"),
    (
        ("", V4, "225.0.0.12"),
        ('family = "ipv6";', V6, "ff05::3:1"),
        ('address = "239.1.1.1";', V4, "239.1.1.1"),
        ('address = "ff02::1";', V6, "ff02::1"),
    ),
)
def test_a_group_and_its_family(inside: str, family: Family, address: str) -> None:
    assert multicast(inside) == (family, address, [])


@pytest.mark.parametrize("address", ("192.0.2.1", "::1", "host.example", "225.0.0"))
def test_what_is_no_group_is_refused(address: str) -> None:
    assert multicast(f'address = "{address}";')[2] == ["bad-address"]


@pytest.mark.parametrize(("family", "address"), (("ipv4", "ff05::3:1"), ("ipv6", "225.0.0.12")))
def test_a_family_that_does_not_fit_is_refused(family: str, address: str) -> None:
    assert multicast(f'family = "{family}"; address = "{address}";')[2] == ["family-mismatch"]
