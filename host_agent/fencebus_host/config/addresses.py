"""Decides which address of which family a listener binds."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from fencebus_host.config import key_table as keys
from fencebus_host.config.model import Family
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.section import Reading

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_NUMBERS = re.compile(r"[0-9.]+", re.ASCII)


def can_be_bound(text: str) -> bool:
    """Whether ``text`` is an IP address or can be a host's name."""
    return _literal(text) is not None or bool(_HOST_NAME.fullmatch(text) and not _NUMBERS.fullmatch(text))


def family_and_address(reading: Reading, where: Where, problems: Problems) -> tuple[Family, str]:
    """Family and address of a tcp listener; the address may be a host name, which the listener resolves."""
    family, address = _choose(reading, reading.get(keys.TCP_ADDRESS), {4: "127.0.0.1", 6: "::1"}, where, problems)
    where = reading.where(keys.TCP_ADDRESS) or where
    literal = _literal(address)
    if not can_be_bound(address):
        problems.error(where, "bad-address", f'"{address}" is neither an IP address nor a host name')
    elif literal is not None and literal.is_multicast:
        problems.warning(where, "bad-address", f'nobody can reach a tcp listener on the multicast address "{address}"')
    return family, address


def multicast_family_and_address(reading: Reading, where: Where, problems: Problems) -> tuple[Family, str]:
    """Family and group of a multicast listener."""
    defaults = {4: "225.0.0.12", 6: "ff05::3:1"}
    family, address = _choose(reading, reading.get(keys.MULTICAST_ADDRESS), defaults, where, problems)
    literal = _literal(address)
    if literal is None or not literal.is_multicast:
        where = reading.where(keys.MULTICAST_ADDRESS) or where
        hint = f"for example {defaults[_version(family)]}"
        problems.error(where, "bad-address", f'"{address}" is not a multicast address', hint)
    return family, address


def _choose(
    reading: Reading, address: str | None, defaults: dict[int, str], where: Where, problems: Problems
) -> tuple[Family, str]:
    family = reading.get(keys.FAMILY)
    literal = None if address is None else _literal(address)
    if family is None:
        family = Family.IPV6 if literal is not None and literal.version == 6 else Family.IPV4
    elif literal is not None and literal.version != _version(family):
        message = f'`family = "{family.value}"` does not fit the address {literal}'
        place = reading.where(keys.FAMILY) or where
        problems.error(place, "family-mismatch", message, f'family = "ipv{literal.version}";')
    return family, address or defaults[_version(family)]


def _version(family: Family) -> int:
    return 6 if family is Family.IPV6 else 4


def _literal(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
