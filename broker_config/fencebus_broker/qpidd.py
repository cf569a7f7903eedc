"""Converts a site to the settings of qpidd: access control, users, TLS, routes between brokers.

qpidd compares routing keys in its rules as topics do, word by word; the first rule that fits decides (facts: qpidd 4).
Tried with qpidd 1.40.0, built from source; where there is none, the tests run the script that makes its databases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fencebus_broker.rights import agent
from fencebus_broker.secured import Secured
from fencebus_broker.site import DOMAIN, LINK_USER, Broker, Site
from fencebus_broker.tree import File
from fencebus_schemas.qmf2_names import LOCATE_KEY, TO_AGENTS

ETC = "/etc/qpid"
REALM = "QPID"
TLS_DATABASE = f"{ETC}/tls"


def files(site: Site, secured: Secured) -> Iterator[File]:
    """What goes to each broker, below a folder of its name."""
    for broker in site.brokers:
        folder = f"brokers/{broker.address}{ETC}"
        pair = secured.broker(broker.address)
        yield File.of(f"{folder}/qpidd.conf", conf(site, broker))
        yield File.of(f"{folder}/qpidd.acl", acl(site))
        yield File.of(f"{folder}/sasl2/qpidd.conf", SASL)
        yield File.of(f"{folder}/users", passwords(site, secured), private=True)
        yield File.of(f"{folder}/tls.password", [secured.password("qpidd_tls")], private=True)
        yield File(f"{folder}/ca.pem", secured.ca())
        yield File(f"{folder}/server.pem", pair.certificate)
        yield File(f"{folder}/server.key", pair.key, private=True)
        yield File.of(f"{folder}/make-databases", DATABASES)
        if site.federated:
            yield File.of(f"{folder}/make-routes", routes(site, broker, secured), private=True)


def users_of(site: Site) -> tuple[str, ...]:
    """Every user of a site's brokers."""
    return (*site.hosts, *site.watchers, *site.operators, *((LINK_USER,) if site.federated else ()))


def conf(site: Site, broker: Broker) -> Iterator[str]:
    """The lines of its qpidd.conf."""
    yield "# Only TLS, only for those with a certificate of this site's CA; users and passwords come on top."
    yield "auth=yes"
    yield f"realm={REALM}"
    yield f"sasl-config={ETC}/sasl2"
    yield f"acl-file={ETC}/qpidd.acl"
    yield "require-encryption=yes"
    yield "listen-disable=tcp"
    yield f"ssl-port={broker.port}"
    yield f"ssl-cert-db={TLS_DATABASE}"
    yield f"ssl-cert-password-file={ETC}/tls.password"
    yield "ssl-cert-name=server"
    yield "ssl-require-client-authentication=yes"
    yield "mgmt-enable=yes"
    if broker.is_ip:
        yield f"interface={broker.address}"
    if site.federated:
        yield f"federation-tag={broker.address}"


SASL = (
    "pwcheck_method: auxprop",
    "auxprop_plugin: sasldb",
    f"sasldb_path: {ETC}/qpidd.sasldb",
    "mech_list: PLAIN",
)

DATABASES = (
    "#!/bin/sh",
    "# Makes the databases that qpidd reads from the files beside this one, anew each time.",
    "set -eu",
    'cd "$(dirname "$0")"',
    "umask 077",
    "rm -rf qpidd.sasldb tls",
    "while read -r user password; do",
    f'\tprintf %s "$password" | saslpasswd2 -c -p -f qpidd.sasldb -u {REALM} "$user"',
    "done <users",
    "mkdir tls",
    "certutil -N -d sql:tls -f tls.password",
    "certutil -A -d sql:tls -f tls.password -n ca -t CT,C,C -i ca.pem",
    "openssl pkcs12 -export -in server.pem -inkey server.key -name server \\",
    "\t-passout file:tls.password -out tls/server.p12",
    "pk12util -i tls/server.p12 -d sql:tls -k tls.password -w tls.password",
    "rm tls/server.p12",
    "if id -u qpidd >/dev/null 2>&1; then",
    "\tchown -R qpidd: qpidd.sasldb tls tls.password",
    "fi",
)


def passwords(site: Site, secured: Secured) -> Iterator[str]:
    """A line for each user: its name and its password."""
    for user in users_of(site):
        yield f"{user} {secured.password(user)}"


def acl(site: Site) -> Iterator[str]:
    """The lines of the access control list."""
    yield "# First match wins. A key is compared word by word: * is one word, # any number of them."
    yield from _groups(site)
    if site.domain != DOMAIN:  # those of the default one are there from the start
        for kind, exchange in (("topic", site.topic), ("direct", site.direct)):
            yield f"acl allow hosts create exchange name={exchange} type={kind} durable=false autodelete=false"
    # A name without a type is taken for a queue's: nobody is to put one before an exchange.
    for exchange in (site.topic, site.direct):
        yield f"acl deny-log all create queue name={exchange}"
    yield from _shared(site, "hosts")
    for host in site.hosts:
        yield from _of_host(site, host)
    if consoles_of(site):
        yield from _of_consoles(site)
    yield "acl deny-log all access method"
    yield "acl deny-log all create link"
    yield "acl deny-log all all"


def consoles_of(site: Site) -> tuple[str, ...]:
    """Who looks, and who may ask an agent to act."""
    return (*site.watchers, *site.operators)


def _groups(site: Site) -> Iterator[str]:
    yield _group("hosts", site.hosts)
    if consoles_of(site):
        yield _group("consoles", consoles_of(site))
    if site.federated:
        yield _group("links", [LINK_USER])
        yield "acl allow links all all"


def _shared(site: Site, group: str) -> Iterator[str]:
    """What a client has to do to have a queue, whatever it is then bound to."""
    for exchange in (site.topic, site.direct, "amq.direct", "ANONYMOUS-RELAY"):
        yield f"acl allow {group} access exchange name={exchange}"
    yield f"acl allow {group} access queue"
    yield f"acl allow {group} create queue exclusive=true"
    yield f"acl allow {group} consume queue"


def _of_host(site: Site, host: str) -> Iterator[str]:
    """As an agent it speaks in its own name alone, and is reached by it."""
    own, user = agent(host), _user(host)
    for key in (TO_AGENTS, "fencebus.hosts", own.direct_subject):
        yield f"acl allow {user} bind exchange name={site.topic} routingkey={key}"
    for key in (str(own), f"fencebus.host.{host}"):
        yield f"acl allow {user} bind exchange name={site.direct} routingkey={key}"
    yield from _reserved(site, user, [each for each in site.hosts if each != host])
    yield f"acl allow {user} bind exchange name={site.direct}"
    for key in ("fencebus.hosts", f"agent.ind.heartbeat.{own.key}", f"agent.ind.data.*.*.{own.key}"):
        yield f"acl allow {user} publish exchange name={site.topic} routingkey={key}"
    yield f"acl allow {user} publish exchange name={site.topic} routingkey=agent.ind.event.*.*.*.{own.key}"
    yield f"acl allow {user} publish exchange name={site.topic} routingkey=direct-console.#"
    yield f"acl allow {user} publish exchange name={site.direct}"
    yield f"acl allow {user} publish exchange name=amq.direct"


def _of_consoles(site: Site) -> Iterator[str]:
    """They hear what agents tell, and what is said to them; an operator asks single agents, too."""
    yield from _shared(site, "consoles")
    yield from _reserved(site, "consoles", site.hosts)
    yield f"acl allow consoles publish exchange name={site.topic} routingkey={LOCATE_KEY}"
    yield f"acl allow consoles bind exchange name={site.topic} routingkey=agent.ind.#"
    for user in map(_user, consoles_of(site)):
        key = f"direct-console.{user.partition('@')[0]}.#"
        yield f"acl allow {user} bind exchange name={site.topic} routingkey={key}"
    yield f"acl allow consoles bind exchange name={site.direct}"
    if site.domain == DOMAIN:  # of others the old programs know nothing
        yield from OLD_CONSOLES
    for user in map(_user, site.operators):
        yield f"acl allow {user} publish exchange name={site.topic} routingkey=direct-agent.route.#"
        for host in site.hosts:
            yield f"acl allow {user} publish exchange name={site.direct} routingkey={agent(host)}"


OLD_CONSOLES = (
    "# What qpid-tool and its like say to the broker itself before they look for agents.",
    "acl allow consoles bind exchange name=amq.direct",
    "acl allow consoles access query name=agent",
    "acl allow consoles access exchange name=qpid.management",
    "acl allow consoles bind exchange name=qpid.management",
    "acl allow consoles publish exchange name=qpid.management routingkey=broker",
    "acl allow consoles publish exchange name=qmf.default.direct routingkey=broker",
)


def _reserved(site: Site, who: str, hosts: Iterable[str]) -> Iterator[str]:
    """Keys that stand for these hosts: who might bind one would hear what they are told.  A client's own address is
    drawn at random, so that all others are free.
    """
    for host in hosts:
        for key in (str(agent(host)), f"fencebus.host.{host}"):
            yield f"acl deny-log {who} bind exchange name={site.direct} routingkey={key}"


def routes(site: Site, broker: Broker, secured: Secured) -> Iterator[str]:
    """The commands that make this broker fetch from the others; each other one runs its own."""
    login = f"amqps://{LINK_USER}/{secured.password(LINK_USER)}@"
    yield "#!/bin/sh"
    yield "# Messages move from the second to the first broker, for what is bound at the first."
    yield "# They are gone when it ends: to be run again after each start."
    yield "set -eu"
    yield "add() {"
    yield "\tqpid-route --transport=ssl --client-sasl-mechanism=PLAIN \\"
    yield f"\t\t--ssl-certificate={ETC}/server.pem --ssl-key={ETC}/server.key \\"
    yield '\t\tdynamic add "$1" "$2" "$3" "" "" PLAIN'
    yield "}"
    for other in (each for each in site.brokers if each != broker):
        for exchange in (site.topic, site.direct, "amq.direct"):
            yield f"add {login}{broker.location} {login}{other.location} {exchange}"


def _group(name: str, users: tuple[str, ...] | list[str]) -> str:
    return f"group {name} {' '.join(_user(user) for user in users)}"


def _user(name: str) -> str:
    return f"{name}@{REALM}"
