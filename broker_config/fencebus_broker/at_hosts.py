"""Converts a site to what each host and each console is given: key, certificate, and the URL that says where to go."""

from __future__ import annotations

from collections.abc import Iterator

from fencebus_broker.secured import Secured
from fencebus_broker.site import DOMAIN, Site
from fencebus_broker.tree import File

ETC = "/etc/fencebus"
AMQP1 = "amqp1s"
"""The scheme of AMQP 1.0 over TLS."""


def url(site: Site, user: str, secured: Secured, scheme: str = "amqps", vhost: bool = True) -> str:
    """Where a user goes: the brokers in the order in which it tries them; ``vhost``: they have virtual hosts."""
    ending = f"/{site.vhost}" if vhost else ""
    login = f"{user}:{secured.password(user)}"
    return ",".join(f"{scheme}://{login}@{broker.location}{ending}" for broker in site.brokers_of(user))


def files(site: Site, secured: Secured, scheme: str = "amqps", vhost: bool = True) -> Iterator[File]:
    """What goes to each host, and to each console."""
    for host in site.hosts:
        folder = f"hosts/{host}{ETC}"
        yield from _credentials(folder, host, secured)
        yield File(f"{folder}/bus.key", secured.bus_key(), private=True)
        where = url(site, host, secured, AMQP1 if host in site.amqp1 else scheme, vhost)
        yield File.of(f"{folder}/url", [where], private=True)
        yield File.of(f"{folder}/bus.conf", configuration(site, host, where), private=True)
    for user in (*site.watchers, *site.operators):
        folder = f"consoles/{user}{ETC}"
        yield from _credentials(folder, user, secured)
        yield File.of(f"{folder}/url", [url(site, user, secured, scheme, vhost)], private=True)


def _credentials(folder: str, user: str, secured: Secured) -> Iterator[File]:
    pair = secured.user(user)
    yield File(f"{folder}/ca.pem", secured.ca())
    yield File(f"{folder}/{user}.pem", pair.certificate)
    yield File(f"{folder}/{user}.key", pair.key, private=True)


def configuration(site: Site, host: str, where: str) -> Iterator[str]:
    """The lines for its fence_virt.conf."""
    yield f"# What belongs into /etc/fence_virt.conf of {host}, beside its listeners; it holds a password."
    yield "fence_virtd {"
    yield '\tbackend = "qmf";'
    yield f'\thost = "{host}";'
    yield "}"
    yield "hosts {"
    for each in site.hosts:
        yield f'\thost {{ name = "{each}"; }}'
    yield "}"
    yield "backends {"
    yield "\tqmf {"
    yield f'\t\turl = "{where}";'
    yield f'\t\tkey_file = "{ETC}/bus.key";'
    yield f'\t\tca_file = "{ETC}/ca.pem";'
    yield f'\t\tcert_file = "{ETC}/{host}.pem";'
    yield f'\t\tcertkey_file = "{ETC}/{host}.key";'
    if site.domain != DOMAIN:
        yield f'\t\tdomain = "{site.domain}";'
    if site.operators:
        yield f'\t\ttrusted_users = "{",".join(site.operators)}";'
    yield "\t}"
    yield "}"
