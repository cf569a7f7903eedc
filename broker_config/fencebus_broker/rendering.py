"""Decides which files a site's settings are, for each kind of broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fencebus_broker import artemis, at_hosts, instructions, qdrouterd, qpidd, rabbitmq
from fencebus_broker.secured import Secured, Vault
from fencebus_broker.site import Site
from fencebus_broker.tree import File, write

PRIVATE = "private"


def _rabbitmq(site: Site, secured: Secured) -> Iterator[File]:
    yield from rabbitmq.files(site, secured)
    yield from at_hosts.files(site, secured)
    yield File.of("README", instructions.rabbitmq(site))


def _qpidd(site: Site, secured: Secured) -> Iterator[File]:
    yield from qpidd.files(site, secured)
    yield from at_hosts.files(site, secured, at_hosts.AMQP1, vhost=False)
    yield File.of("README", instructions.qpidd(site))


def _artemis(site: Site, secured: Secured) -> Iterator[File]:
    yield from artemis.files(site, secured)
    yield from at_hosts.files(site, secured, at_hosts.AMQP1, vhost=False)
    yield File.of("README", instructions.untested(site, "Artemis"))


def _qdrouterd(site: Site, secured: Secured) -> Iterator[File]:
    yield from qdrouterd.files(site, secured)
    yield from at_hosts.files(site, secured, at_hosts.AMQP1, vhost=False)
    yield File.of("README", instructions.untested(site, "qdrouterd"))


KINDS: Mapping[str, Callable[[Site, Secured], Iterator[File]]] = {
    "rabbitmq": _rabbitmq,
    "qpidd": _qpidd,
    "artemis": _artemis,
    "qdrouterd": _qdrouterd,
}


def render(kind: str, site: Site, folder: Path, replace: bool = False) -> tuple[Path, ...]:
    """Write a site's settings below ``folder``; returns what was not there as it is now.

    Secrets of an earlier rendering are kept.  Raises InTheWay (nothing was written then), NoCertificate, OSError.
    """
    files = tuple(KINDS[kind](site, Vault(folder / PRIVATE)))
    return write(folder, files, replace)
