"""Converts a site to the page that says which file goes where, and what is to be typed there."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

from fencebus_broker.site import DOMAIN, Site

HEAD = """
Settings of {broker} for the hosts {hosts}, made by `fencebus_broker render`.

private/ holds the CA's key and all passwords: keep it, readable by you alone. Rendering into this folder again, with
--replace, keeps all of them, so that a host can be added. To have a secret drawn anew, remove its file there.
"""
RABBITMQ = """
On each broker's machine, as root, with the files of brokers/NODE@ADDRESS/ copied to /:

    chown -R rabbitmq:rabbitmq /etc/rabbitmq /var/lib/rabbitmq
    systemctl restart rabbitmq-server
"""
CLUSTER = """
    rabbitmqctl cluster_status

All nodes need to see each other's names, and ports 4369 and 25672 of each other, on a network of their own: what nodes
say to each other is not encrypted. Start the first one first: the others join it if they have no data of their own.
"""
FEDERATION = """
    rabbitmqctl eval 'rabbit_federation_status:status().'

shows two links, one for each exchange, to each other broker; they are "running" once both brokers are up.
"""
SHARED = """
A broker that has other users keeps them: everything here is in the virtual host {vhost}, and

    rabbitmqctl import_definitions /etc/rabbitmq/definitions.json

changes nothing else. Its rabbitmq.conf is then yours to merge.
"""
QPIDD = """
On each broker's machine, as root, with the files of brokers/ADDRESS/ copied to /:

    sh /etc/qpid/make-databases
    systemctl restart qpidd
"""
ROUTES = """
and, once all of them run, and again after each start of one, with qpid-route of qpid-tools:

    sh /etc/qpid/make-routes
"""
UNTESTED = """
UNTESTED: no test of fencebus has seen {broker}. These are templates to begin from, written after its manual.
"""
HOSTS = """
On each host, with the files of hosts/HOST/ copied to /: what stands in /etc/fencebus/bus.conf belongs into
/etc/fence_virt.conf. Whether the brokers do what they should is told by:
"""
CHECK = """
    fencebus_broker check - --credentials /etc/fencebus{domain} </etc/fencebus/url
"""
DOCTOR = """
    fence_virtctl doctor
"""
CONSOLES = """
consoles/USER/ is for those who look with a QMF console; {operators}.
"""


def rabbitmq(site: Site) -> Iterator[str]:
    """For RabbitMQ."""
    own = CLUSTER if site.clustered else FEDERATION if site.federated else ""
    yield from _page(site, "RabbitMQ", HEAD, RABBITMQ.rstrip("\n") + own, SHARED, HOSTS, CHECK, CONSOLES)


def qpidd(site: Site) -> Iterator[str]:
    """For qpidd."""
    yield from _page(site, "qpidd", HEAD, QPIDD, ROUTES if site.federated else "", HOSTS, CHECK, CONSOLES)


def untested(site: Site, broker: str) -> Iterator[str]:
    """For brokers that nobody has tried with fencebus."""
    yield from _page(site, broker, HEAD, UNTESTED, HOSTS, DOCTOR, CONSOLES)


def _page(site: Site, broker: str, *parts: str) -> Iterator[str]:
    who = f"the hosts let only these act: {', '.join(site.operators)}" if site.operators else "nobody acts that way"
    text = "".join(dedent(part) for part in parts)
    names = ", ".join(site.hosts)
    domain = "" if site.domain == DOMAIN else f" --domain {site.domain}"
    filled = {
        "broker": broker,
        "hosts": names,
        "vhost": site.vhost,
        "operators": who,
        "domain": domain,
    }
    yield from text.format(**filled).strip().splitlines()
