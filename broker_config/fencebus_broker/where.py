"""Decides which brokers can be looked at, one after the other, and as whom to go there.

Pure.  Only AMQP 0-9-1 is looked at.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fencebus_schemas.bus_url import AMQP_0, BadBusUrl, Broker, Tls, brokers

ANYBODY = "guest"
"""The user, and the password, where a URL names none."""


class UnfitUrl(BadBusUrl):
    """A URL that cannot be looked at; the command's argument is called just so."""

    def __str__(self) -> str:
        return f"URL {self.number}: {self.detail}"


def of_folder(folder: Path, user: str) -> Tls:
    """What ``fencebus_broker render`` has put there for a user; what is missing is left out."""

    def there(name: str) -> str | None:
        return str(folder / name) if (folder / name).is_file() else None

    return Tls(there("ca.pem"), there(f"{user}.pem"), there(f"{user}.key"))


def places(text: str) -> tuple[Broker, ...]:
    """The brokers of one or more URLs with commas in between; raises UnfitUrl."""
    try:
        found = brokers(text, AMQP_0)
    except BadBusUrl as error:
        raise UnfitUrl(error.number, _why(text.split(",")[error.number - 1], error)) from None
    return tuple(replace(one, user=one.user or ANYBODY, password=one.password or ANYBODY) for one in found)


def _why(url: str, error: BadBusUrl) -> str:
    if url.strip().startswith(tuple(f"{scheme}://" for scheme in AMQP_0)):
        return error.detail
    return "only amqp:// and amqps:// can be checked; fence_virtctl doctor looks at the others"
