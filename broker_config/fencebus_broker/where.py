"""Decides which brokers can be looked at, one after the other, and as whom to go there.

Pure.  The brokers of a list all speak AMQP 0-9-1, or all 1.0, as in a host's configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fencebus_schemas.bus_url import AMQP_0, AMQP_1, BadBusUrl, Broker, Tls, brokers

ANYBODY = "guest"
"""The user, and the password, where a URL of AMQP 0-9-1 names none; in 1.0 it is the certificate's, or nobody."""


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
    schemes = AMQP_1 if _begins(text, AMQP_1) else AMQP_0
    try:
        found = brokers(text, schemes)
    except BadBusUrl as error:
        raise UnfitUrl(error.number, _why(text.split(",")[error.number - 1], error)) from None
    if schemes is AMQP_1:
        return found
    return tuple(replace(one, user=one.user or ANYBODY, password=one.password or ANYBODY) for one in found)


def _why(url: str, error: BadBusUrl) -> str:
    if _begins(url, (*AMQP_0, *AMQP_1)):
        return error.detail
    return "only amqp://, amqps://, amqp1:// and amqp1s:// can be checked; fence_virtctl doctor looks at the others"


def _begins(url: str, schemes: Sequence[str]) -> bool:
    return url.strip().startswith(tuple(f"{scheme}://" for scheme in schemes))
