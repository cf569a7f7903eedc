"""Decides which brokers a bus URL names, for whoever looks at one broker after the other.

Pure.  The daemon's own reading of URLs belongs to its bus; here only AMQP 0-9-1 is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fencebus_schemas.errors import FencebusError

PORTS = {"amqp": 5672, "amqps": 5671}


class UnfitUrl(FencebusError):
    """A URL that cannot be looked at; ``detail`` quotes nothing that may hold a password."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(number, detail)
        self.number = number
        self.detail = detail

    def __str__(self) -> str:
        return f"URL {self.number}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Place:
    """One broker, and as whom to go there."""

    address: str
    port: int
    vhost: str
    user: str
    password: str = field(repr=False)
    secure: bool

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        vhost = "" if self.vhost == "/" else f"/{self.vhost}"
        return f"{'amqps' if self.secure else 'amqp'}://{self.user}@{address}:{self.port}{vhost}"


@dataclass(frozen=True, slots=True)
class Papers:
    """Files in PEM: whom to believe, and what to show."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def of_folder(folder: Path, user: str) -> Papers:
    """What ``fencebus_broker render`` has put there for a user; what is missing is left out."""

    def there(name: str) -> Path | None:
        return folder / name if (folder / name).is_file() else None

    return Papers(there("ca.pem"), there(f"{user}.pem"), there(f"{user}.key"))


def places(text: str) -> tuple[Place, ...]:
    """The brokers of one or more URLs with commas in between; raises UnfitUrl."""
    return tuple(_place(number, url.strip()) for number, url in enumerate(text.split(","), 1))


def _place(number: int, url: str) -> Place:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnfitUrl(number, "not a URL, or its port is no number") from None
    if parts.scheme not in PORTS:
        raise UnfitUrl(number, "only amqp:// and amqps:// can be checked; fence_virtctl doctor looks at the others")
    if not parts.hostname:
        raise UnfitUrl(number, "it names no broker")
    return Place(
        parts.hostname,
        port or PORTS[parts.scheme],
        unquote(parts.path[1:]) or "/",
        unquote(parts.username or "guest"),
        unquote(parts.password or "guest"),
        parts.scheme == "amqps",
    )
