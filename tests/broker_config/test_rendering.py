"""What is written for each kind of broker: nothing over other files, secrets once and for their owner alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from fencebus_broker import certificates, qpidd
from fencebus_broker.certificates import NoCertificate
from fencebus_broker.rendering import KINDS, render
from fencebus_broker.site import LINK_USER, Site, site
from fencebus_broker.tree import InTheWay
from tests.components import require_program

SITE = site("a,b,c", operators="op")
APART = site("a,b", "x.example.org,192.0.2.7:5673", federated=True)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster for three hosts."""
    require_program("openssl", package="openssl")
    folder = tmp_path_factory.mktemp("rendered")
    render("rabbitmq", SITE, folder)
    return folder


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two federated brokers."""
    require_program("openssl", package="openssl")
    folder = tmp_path_factory.mktemp("apart")
    render("rabbitmq", APART, folder)
    return folder


@pytest.fixture
def folder(rendered: Path, tmp_path: Path) -> Path:
    """One with the secrets of the cluster: to make new ones takes time."""
    shutil.copytree(rendered / "private", tmp_path / "private")
    return tmp_path


def definitions(folder: Path, broker: str) -> dict[str, list[dict[str, object]]]:
    """What a broker loads."""
    text = (folder / "brokers" / broker / "etc/rabbitmq/definitions.json").read_text("utf-8")
    found: dict[str, list[dict[str, object]]] = json.loads(text)
    return found


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("where", (SITE, APART), ids=["cluster", "federated"])
@pytest.mark.parametrize("kind", KINDS)
def test_secrets_are_readable_by_their_owner_alone_and_stand_in_no_other_file(
    kind: str, where: Site, folder: Path
) -> None:
    require_program("openssl", package="openssl")
    render(kind, where, folder)
    private = folder / "private"
    secrets = [path.read_bytes() for path in (private / "passwords").iterdir()] + [(private / "bus.key").read_bytes()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        if b"PRIVATE KEY" in content or any(secret in content for secret in secrets):
            assert path.stat().st_mode & 0o077 == 0, path
    assert private.stat().st_mode & 0o077 == 0


def test_rendering_again_changes_nothing(folder: Path) -> None:
    assert render("rabbitmq", SITE, folder)
    assert render("rabbitmq", SITE, folder) == ()


def test_other_files_are_not_written_over_unless_that_is_said_and_then_nothing_is_written(folder: Path) -> None:
    render("rabbitmq", SITE, folder)
    mine = folder / "brokers/rabbit@a/etc/rabbitmq/rabbitmq.conf"
    mine.write_text("mine\n")
    with pytest.raises(InTheWay) as caught:
        render("rabbitmq", site("a,b,c,d", operators="op"), folder)
    assert mine in caught.value.paths
    assert str(mine) in str(caught.value)
    assert mine.read_text() == "mine\n"
    assert not (folder / "hosts/d").exists()


def test_a_host_that_is_added_later_changes_no_secret_of_the_others(folder: Path) -> None:
    render("rabbitmq", SITE, folder)
    before = {path: path.read_bytes() for path in (folder / "private").rglob("*") if path.is_file()}
    render("rabbitmq", site("a,b,c,d", operators="op"), folder, replace=True)
    assert {path: path.read_bytes() for path in before} == before
    assert len(definitions(folder, "rabbit@a")["users"]) == 6


def test_certificates_are_of_the_sites_ca_and_for_the_place_where_the_broker_is_reached(apart: Path) -> None:
    etc = apart / "brokers/rabbit@x.example.org/etc/rabbitmq"
    openssl("verify", "-CAfile", etc / "ca.pem", "-verify_hostname", "x.example.org", etc / "server.pem")
    other = apart / "brokers/rabbit@192.0.2.7/etc/rabbitmq"
    openssl("verify", "-CAfile", etc / "ca.pem", "-verify_ip", "192.0.2.7", other / "server.pem")
    host = apart / "hosts/a/etc/fencebus"
    openssl("verify", "-CAfile", host / "ca.pem", "-purpose", "sslclient", host / "a.pem")
    assert "CN = a" in openssl("x509", "-noout", "-subject", "-in", host / "a.pem")


def test_a_machine_that_is_host_and_broker_has_a_certificate_for_each(rendered: Path) -> None:
    broker, host = rendered / "brokers/rabbit@a/etc/rabbitmq/server.pem", rendered / "hosts/a/etc/fencebus/a.pem"
    assert broker.read_bytes() != host.read_bytes()


def test_without_openssl_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCertificate, match="openssl is not installed"):
        render("rabbitmq", SITE, tmp_path)


def test_what_openssl_says_against_a_certificate_is_told(tmp_path: Path) -> None:
    require_program("openssl", package="openssl")
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "ca.key").write_text("no key")
    with pytest.raises(NoCertificate, match="no certificate could be made: "):
        certificates.Authority(tmp_path).user("a")


def test_a_cluster_stops_where_it_is_a_minority_and_its_nodes_share_a_cookie(rendered: Path) -> None:
    places = [rendered / f"brokers/rabbit@{name}" for name in "abc"]
    for place in places:
        conf = (place / "etc/rabbitmq/rabbitmq.conf").read_text()
        assert "cluster_partition_handling = pause_minority" in conf
        assert all(f"nodes.{number} = rabbit@{name}" in conf for number, name in enumerate("abc", 1))
        assert "listeners.tcp = none" in conf
        assert "fail_if_no_peer_cert = true" in conf
    assert len({(place / "var/lib/rabbitmq/.erlang.cookie").read_text() for place in places}) == 1


def test_federated_brokers_fetch_from_each_other_and_know_nothing_of_clusters(apart: Path) -> None:
    for broker, other in (("x.example.org", "192.0.2.7:5673"), ("192.0.2.7", "x.example.org:5671")):
        etc = apart / f"brokers/rabbit@{broker}/etc/rabbitmq"
        assert "cluster" not in (etc / "rabbitmq.conf").read_text()
        assert (etc / "enabled_plugins").read_text() == "[rabbitmq_federation].\n"
        (upstream,) = definitions(apart, f"rabbit@{broker}")["parameters"]
        assert f"@{other}/fencebus?" in json.dumps(upstream)
        assert LINK_USER in json.dumps(upstream)
        (policy,) = definitions(apart, f"rabbit@{broker}")["policies"]
        assert policy["pattern"] == r"^(qmf\.default\.topic|qmf\.default\.direct)$"


def test_there_is_no_user_who_may_do_everything(rendered: Path) -> None:
    found = definitions(rendered, "rabbit@a")
    assert {user["name"] for user in found["users"]} == {"a", "b", "c", "watcher", "op"}
    assert all(user["tags"] == "" for user in found["users"])
    assert ".*" not in {permission[right] for permission in found["permissions"] for right in ("configure", "write")}


def test_qpidd_lets_each_agent_speak_in_its_own_name_and_be_reached_by_no_other(folder: Path) -> None:
    render("qpidd", SITE, folder)
    rules = (folder / "brokers/a/etc/qpid/qpidd.acl").read_text().splitlines()
    assert rules[-1] == "acl deny-log all all"
    assert "acl allow a@QPID publish exchange name=qmf.default.topic routingkey=fencebus.hosts" in rules
    taken = rules.index("acl deny-log a@QPID bind exchange name=qmf.default.direct routingkey=fencebus.host.b")
    assert taken < rules.index("acl allow a@QPID bind exchange name=qmf.default.direct")
    for rule in rules:
        if ("watcher@QPID" in rule or "consoles" in rule) and " publish " in rule:
            assert rule.rpartition("=")[2] in ("console.request.agent_locate", "broker")  # the last is qpidd itself
    heard = rules.index("acl deny-log consoles bind exchange name=qmf.default.direct routingkey=fencebus.host.b")
    assert heard < rules.index("acl allow consoles bind exchange name=qmf.default.direct")
    assert not any(" create exchange " in rule for rule in rules)
    forbidden = rules.index("acl deny-log all create queue name=qmf.default.topic")
    assert forbidden < rules.index("acl allow hosts create queue exclusive=true")


def test_qpidd_lets_hosts_make_the_exchanges_of_a_domain_which_it_does_not_make_itself(folder: Path) -> None:
    render("qpidd", site("a,b", domain="blue"), folder)
    rules = (folder / "brokers/a/etc/qpid/qpidd.acl").read_text().splitlines()
    made = [rule for rule in rules if " create exchange " in rule]
    assert made == [
        f"acl allow hosts create exchange name=qmf.blue.{kind} type={kind} durable=false autodelete=false"
        for kind in ("topic", "direct")
    ]


def test_qpidd_listens_to_nothing_but_tls(folder: Path) -> None:
    render("qpidd", SITE, folder)
    conf = (folder / "brokers/a/etc/qpid/qpidd.conf").read_text().splitlines()
    assert {"listen-disable=tcp", "require-encryption=yes", "ssl-port=5671", "auth=yes"} <= set(conf)


def test_qpidds_scripts_are_shell(folder: Path) -> None:
    render("qpidd", APART, folder)
    for name in ("make-databases", "make-routes"):
        done = subprocess.run(["sh", "-n", folder / "brokers/x.example.org/etc/qpid" / name], capture_output=True)
        assert done.returncode == 0, done.stderr


def test_qpidds_script_makes_the_databases_of_users_and_certificates(folder: Path) -> None:
    listing = require_program("sasldblistusers2", package="sasl2-bin")
    certutil = require_program("certutil", package="libnss3-tools")
    render("qpidd", SITE, folder)
    etc = folder / "brokers/a/etc/qpid"
    for _ in range(2):  # it may be run again
        done = subprocess.run(["sh", etc / "make-databases"], capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr
    users = subprocess.run([listing, "-f", etc / "qpidd.sasldb"], capture_output=True, text=True).stdout
    assert {line.split(":")[0] for line in users.splitlines()} == {f"{user}@QPID" for user in qpidd.users_of(SITE)}
    assert (etc / "qpidd.sasldb").stat().st_mode & 0o077 == 0
    listed = subprocess.run([certutil, "-L", "-d", f"sql:{etc / 'tls'}"], capture_output=True, text=True).stdout
    assert {line.split()[0] for line in listed.splitlines() if line.startswith(("ca ", "server "))} == {"ca", "server"}
    keys: list[str | Path] = [certutil, "-K", "-d", f"sql:{etc / 'tls'}", "-f", etc / "tls.password"]
    assert "server" in subprocess.run(keys, capture_output=True, text=True).stdout


def test_templates_say_that_nobody_has_tried_them(folder: Path) -> None:
    for kind, name in (("artemis", "etc/broker-fencebus.xml"), ("qdrouterd", "etc/qpid-dispatch/qdrouterd.conf")):
        render(kind, SITE, folder / kind)
        assert "UNTESTED" in (folder / kind / "README").read_text()
        assert "UNTESTED" in (folder / kind / "brokers/a" / name).read_text()
    ET.fromstring(f"<core>{(folder / 'artemis/brokers/a/etc/broker-fencebus.xml').read_text()}</core>")


def test_hosts_that_speak_amqp_1_0_have_a_url_a_plugin_and_queues_of_that_kind(folder: Path) -> None:
    render("rabbitmq", site("a,b,c", amqp1="b,c"), folder)
    assert (folder / "brokers/rabbit@a/etc/rabbitmq/enabled_plugins").read_text() == "[rabbitmq_amqp1_0].\n"
    urls = [(folder / f"hosts/{host}/etc/fencebus/url").read_text() for host in "abc"]
    assert [url.partition(":")[0] for url in urls] == ["amqps", "amqp1s", "amqp1s"]
    assert 'url = "amqp1s://b:' in (folder / "hosts/b/etc/fencebus/bus.conf").read_text()
    named = {
        str(each["user"]): "amq" in str(each["configure"]) for each in definitions(folder, "rabbit@a")["permissions"]
    }
    assert named == {"a": False, "b": True, "c": True, "watcher": False}
    readme = (folder / "README").read_text()
    assert "fencebus_broker check" in readme


@pytest.mark.parametrize("kind", ("rabbitmq", "qpidd", "artemis", "qdrouterd"))
def test_the_check_is_recommended_where_it_has_been_tried(kind: str, folder: Path) -> None:
    render(kind, SITE, folder)
    readme = (folder / "README").read_text()
    tried = kind in ("rabbitmq", "qpidd")
    assert ("fencebus_broker check" in readme) == tried
    assert ("fence_virtctl doctor" in readme) != tried


def test_another_domain_has_exchanges_a_virtual_host_and_a_user_for_links_of_its_own(folder: Path) -> None:
    render("rabbitmq", site("a,b", federated=True, domain="blue"), folder)
    found = definitions(folder, "rabbit@a")
    assert {each["name"] for each in found["exchanges"]} == {"qmf.blue.topic", "qmf.blue.direct"}
    assert {each["vhost"] for kind, rows in found.items() if kind not in ("vhosts", "users") for each in rows} == {
        "fencebus-blue"
    }
    assert {str(each["name"]) for each in found["users"]} == {"a", "b", "watcher", "fencebus_link_blue"}
    assert "fencebus_link_blue:" in json.dumps(found["parameters"])
    assert "@a:5671/fencebus-blue" in (folder / "hosts/a/etc/fencebus/url").read_text()
    assert "</etc/fencebus/url" in (readme := (folder / "README").read_text())
    assert "--credentials /etc/fencebus --domain blue <" in readme
    assert 'domain = "blue";' in (folder / "hosts/a/etc/fencebus/bus.conf").read_text()
