"""Converts a site to a template for the Qpid Dispatch router.  UNTESTED: written after its manual, seen by no test."""

from __future__ import annotations

from collections.abc import Iterator

from fencebus_broker.qpidd import REALM, SASL
from fencebus_broker.secured import Secured
from fencebus_broker.site import Broker, Site
from fencebus_broker.tree import File

ETC = "/etc/qpid-dispatch"
ROUTER_PORT = 5672
UNTESTED = "# UNTESTED: a template to begin from"


def files(site: Site, secured: Secured) -> Iterator[File]:
    """What goes to each router, below a folder of its name."""
    for broker in site.brokers:
        folder, pair = f"brokers/{broker.address}{ETC}", secured.broker(broker.address)
        yield File.of(f"{folder}/qdrouterd.conf", conf(site, broker))
        yield File.of(f"{folder}/sasl2/qdrouterd.conf", [line.replace("/etc/qpid/qpidd", f"{ETC}/qd") for line in SASL])
        yield File.of(f"{folder}/users", _users(site, secured), private=True)
        yield File(f"{folder}/ca.pem", secured.ca())
        yield File(f"{folder}/server.pem", pair.certificate)
        yield File(f"{folder}/server.key", pair.key, private=True)


def _users(site: Site, secured: Secured) -> Iterator[str]:
    """For saslpasswd2: a router keeps no users of its own."""
    for user in (*site.hosts, *site.watchers, *site.operators):
        yield f"{user}@{REALM} {secured.password(user)}"


def conf(site: Site, broker: Broker) -> Iterator[str]:
    """The lines of its qdrouterd.conf."""
    yield UNTESTED
    yield f"router {{ mode: {'interior' if len(site.brokers) > 1 else 'standalone'}  id: {broker.address}"
    yield f"  saslConfigDir: {ETC}/sasl2  saslConfigName: qdrouterd }}"
    yield f"sslProfile {{ name: site  caCertFile: {ETC}/ca.pem  certFile: {ETC}/server.pem"
    yield f"  privateKeyFile: {ETC}/server.key }}"
    yield f"listener {{ host: {broker.address if broker.is_ip else '0.0.0.0'}  port: {broker.port}  role: normal"
    yield "  sslProfile: site  authenticatePeer: yes  requireSsl: yes  saslMechanisms: PLAIN }"
    earlier = site.brokers[: site.brokers.index(broker)]
    for other in earlier:
        yield f"connector {{ host: {other.address}  port: {ROUTER_PORT}  role: inter-router  sslProfile: site }}"
    if len(site.brokers) > 1:
        yield f"listener {{ host: 0.0.0.0  port: {ROUTER_PORT}  role: inter-router  sslProfile: site"
        yield "  authenticatePeer: yes  requireSsl: yes  saslMechanisms: EXTERNAL }"
    for name in (site.topic, site.direct):
        yield f"address {{ prefix: {name}  distribution: multicast }}"
