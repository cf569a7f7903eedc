"""Converts a site to the settings of its RabbitMQ brokers: one, a cluster, or several that are federated.

Pure, save that passwords and certificates come from whoever calls.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from fencebus_broker import rights
from fencebus_broker.rights import Rights
from fencebus_broker.secured import Pair, Secured
from fencebus_broker.site import Broker, Site
from fencebus_broker.tree import File

ETC = "/etc/rabbitmq"
LINK_SECONDS = 15
"""How long a federation keeps a message for a broker that it cannot reach: after that its sender counts as silent."""
RECONNECT_SECONDS = 1
ADVANCED = "[{kernel, [{net_ticktime, 10}]}]."
"""A node that stands still is left out after so many seconds.  Until then no other one can declare or bind anything, so
that no host can change its broker; by default that is a minute, while a fence has half of one.
"""


def files(site: Site, secured: Secured) -> Iterator[File]:
    """What goes to each broker, below a folder of its name."""
    for broker in site.brokers:
        for file in _of_broker(site, broker, secured):
            yield File(f"brokers/{broker.name}/{file.path}", file.content, file.private)


def _of_broker(site: Site, broker: Broker, secured: Secured) -> Iterator[File]:
    etc = ETC.strip("/")
    pair = secured.broker(broker.address)
    yield File.of(f"{etc}/rabbitmq.conf", conf(site, broker))
    yield File.of(f"{etc}/rabbitmq-env.conf", environment(broker))
    yield File.of(f"{etc}/enabled_plugins", [f"[{','.join(plugins(site))}]."])
    yield File.of(f"{etc}/definitions.json", [_json(definitions(site, broker, secured))], private=True)
    yield from _tls(etc, secured.ca(), pair)
    if site.clustered:
        yield File.of(f"{etc}/advanced.config", [ADVANCED])
        yield File("var/lib/rabbitmq/.erlang.cookie", secured.cookie().encode("ascii"), private=True)
    if site.federated:
        yield File(f"{etc}/upstream.pem", pair.certificate)
        yield File(f"{etc}/upstream.key", pair.key, private=True)


def _tls(etc: str, ca: bytes, pair: Pair) -> Iterator[File]:
    yield File(f"{etc}/ca.pem", ca)
    yield File(f"{etc}/server.pem", pair.certificate)
    yield File(f"{etc}/server.key", pair.key, private=True)


def plugins(site: Site) -> Iterator[str]:
    """What a broker of the site has to run besides RabbitMQ's core."""
    if site.federated:
        yield "rabbitmq_federation"
    if site.amqp1:
        yield "rabbitmq_amqp1_0"


# ---- rabbitmq.conf


def conf(site: Site, broker: Broker) -> Iterator[str]:
    """The lines of its rabbitmq.conf."""
    yield "# Only TLS, and only for those with a certificate of this site's CA; users and passwords come on top."
    yield "listeners.tcp = none"
    if broker.is_ip:
        yield f"listeners.ssl.1 = {broker.location.replace('[', '').replace(']', '')}"
    else:
        yield f"listeners.ssl.default = {broker.port}"
    yield f"ssl_options.cacertfile = {ETC}/ca.pem"
    yield f"ssl_options.certfile = {ETC}/server.pem"
    yield f"ssl_options.keyfile = {ETC}/server.key"
    yield "ssl_options.verify = verify_peer"
    yield "ssl_options.fail_if_no_peer_cert = true"
    yield "ssl_options.versions.1 = tlsv1.3"
    yield "ssl_options.versions.2 = tlsv1.2"
    yield ""
    yield "# Users, rights, exchanges and federation; with it no user guest is made."
    yield f"load_definitions = {ETC}/definitions.json"
    yield ""
    yield "# A host notices by these that its broker is silent, and goes to the next one."
    yield "heartbeat = 10"
    if site.clustered:
        yield from _cluster(site)


def _cluster(site: Site) -> Iterator[str]:
    yield ""
    yield "# A node that does not see most of the others stops, rather than go on without them."
    yield "cluster_partition_handling = pause_minority"
    yield "cluster_formation.peer_discovery_backend = classic_config"
    for number, broker in enumerate(site.brokers, 1):
        yield f"cluster_formation.classic_config.nodes.{number} = {broker.name}"


def environment(broker: Broker) -> Iterator[str]:
    """The lines of its rabbitmq-env.conf."""
    yield f"NODENAME={broker.name}"
    if "." in broker.address or ":" in broker.address:
        yield "USE_LONGNAME=true"


# ---- definitions


Definition = Mapping[str, object]


def definitions(site: Site, broker: Broker, secured: Secured) -> dict[str, Sequence[Definition]]:
    """What a broker loads at its start, or by ``rabbitmqctl import_definitions``: nothing else of it is changed."""
    users = users_of(site)
    exchanges = (site.topic, "topic"), (site.direct, "direct")
    made: dict[str, Sequence[Definition]] = {
        "vhosts": [{"name": site.vhost}],
        "users": [_user(name, secured.password(name)) for name in users],
        "permissions": [_permission(site, name, each) for name, each in users.items()],
        "topic_permissions": [_topic_permission(site, name, each) for name, each in users.items()],
        "exchanges": [_exchange(site, name, kind) for name, kind in exchanges],
    }
    if site.federated:
        made["parameters"] = [_upstream(site, broker, other, secured) for other in site.brokers if other != broker]
        made["policies"] = [_policy(site)]
    return made


def users_of(site: Site) -> dict[str, Rights]:
    """Every user of a site's brokers."""
    return {
        **{host: rights.of_host(host, site.topic, site.direct, host in site.amqp1) for host in site.hosts},
        **{name: rights.of_watcher(site.topic, site.direct) for name in site.watchers},
        **{name: rights.of_operator(site.topic, site.direct) for name in site.operators},
        **({site.link_user: rights.of_link(site.topic, site.direct)} if site.federated else {}),
    }


def _user(name: str, password: str) -> Definition:
    # Not drawn: the same settings are to be the same text, and what is hashed is no word that a table could hold.
    salt = hashlib.sha256(f"salt {name} {password}".encode()).digest()[:4]
    digest = hashlib.sha256(salt + password.encode("utf-8")).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(salt + digest).decode("ascii"),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }


def _permission(site: Site, name: str, granted: Rights) -> Definition:
    return {
        "user": name,
        "vhost": site.vhost,
        "configure": granted.configure,
        "write": granted.write,
        "read": granted.read,
    }


def _topic_permission(site: Site, name: str, granted: Rights) -> Definition:
    where = {"vhost": site.vhost, "exchange": site.topic}
    return {"user": name, **where, "write": granted.sends, "read": granted.hears}


def _exchange(site: Site, name: str, kind: str) -> Definition:
    given = {"name": name, "vhost": site.vhost, "type": kind, "arguments": {}}
    return {**given, "durable": True, "auto_delete": False, "internal": False}


def _upstream(site: Site, broker: Broker, other: Broker, secured: Secured) -> Definition:
    """Where ``broker`` fetches from.  The users' names are believed: the other broker has compared them with logins."""
    user = f"{site.link_user}:{quote(secured.password(site.link_user), safe='')}"
    tls = f"cacertfile={ETC}/ca.pem&certfile={ETC}/upstream.pem&keyfile={ETC}/upstream.key&verify=verify_peer"
    name = f"&server_name_indication={'disable' if other.is_ip else other.address}"
    value = {
        "uri": f"amqps://{user}@{other.location}/{site.vhost}?{tls}{name}",
        "max-hops": 1,
        "reconnect-delay": RECONNECT_SECONDS,
        "message-ttl": 1000 * LINK_SECONDS,
        "expires": 1000 * 60 * 60,
        "trust-user-id": True,
    }
    return {"component": "federation-upstream", "name": other.name, "vhost": site.vhost, "value": value}


def _policy(site: Site) -> Definition:
    pattern = f"^({re.escape(site.topic)}|{re.escape(site.direct)})$"
    definition = {"federation-upstream-set": "all"}
    head = {"name": "fencebus", "vhost": site.vhost, "pattern": pattern, "apply-to": "exchanges", "priority": 0}
    return {**head, "definition": definition}


def _json(value: object) -> str:
    return json.dumps(value, indent=2)
