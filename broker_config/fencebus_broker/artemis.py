"""Converts a site to a template for ActiveMQ Artemis.  UNTESTED: written after its manual, seen by no test."""

from __future__ import annotations

from collections.abc import Iterator

from fencebus_broker.secured import Secured
from fencebus_broker.site import Broker, Site
from fencebus_broker.tree import File

UNTESTED = "UNTESTED: a template to begin from"


def files(site: Site, secured: Secured) -> Iterator[File]:
    """What goes into each broker's folder ``etc``."""
    for broker in site.brokers:
        folder, pair = f"brokers/{broker.address}/etc", secured.broker(broker.address)
        yield File.of(f"{folder}/broker-fencebus.xml", broker_xml(site, broker, secured), private=True)
        yield File.of(f"{folder}/artemis-users.properties", users(site, secured), private=True)
        yield File.of(f"{folder}/artemis-roles.properties", roles(site))
        yield File(f"{folder}/ca.pem", secured.ca())
        yield File(f"{folder}/server.pem", pair.certificate + pair.key, private=True)


def users(site: Site, secured: Secured) -> Iterator[str]:
    """A line for each user."""
    yield f"# {UNTESTED}"
    for user in (*site.hosts, *site.watchers, *site.operators):
        yield f"{user} = {secured.password(user)}"


def roles(site: Site) -> Iterator[str]:
    """Who belongs to which role."""
    yield f"# {UNTESTED}"
    yield f"hosts = {','.join(site.hosts)}"
    yield f"consoles = {','.join((*site.watchers, *site.operators))}"


def broker_xml(site: Site, broker: Broker, secured: Secured) -> Iterator[str]:
    """The elements that belong into the ``core`` of its broker.xml."""
    address = broker.address if broker.is_ip else "0.0.0.0"
    tls = "sslEnabled=true;keyStorePath=etc/server.pem;keyStoreType=PEM;trustStorePath=etc/ca.pem;trustStoreType=PEMCA"
    yield f"<!-- {UNTESTED} -->"
    yield "<acceptors>"
    yield f"  <acceptor name='amqps'>tcp://{address}:{broker.port}?protocols=AMQP;{tls};needClientAuth=true</acceptor>"
    yield "</acceptors>"
    yield "<addresses>"
    for name in (site.topic, site.direct):
        yield f"  <address name='{name}'><multicast/></address>"
    yield "</addresses>"
    yield "<security-settings>"
    for name in (site.topic, site.direct):
        yield f"  <security-setting match='{name}.#'>"
        yield "    <permission type='createNonDurableQueue' roles='hosts,consoles'/>"
        yield "    <permission type='consume' roles='hosts,consoles'/>"
        yield "    <permission type='send' roles='hosts'/>"
        yield "  </security-setting>"
    yield f"  <security-setting match='{site.topic}.console.request.agent_locate'>"
    yield "    <permission type='send' roles='hosts,consoles'/>"
    yield "  </security-setting>"
    yield "</security-settings>"
