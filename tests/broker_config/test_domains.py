"""A second domain on the brokers of a first: both pass on what their hosts say, and no host enters the other one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.bus import Address, Bus, BusMessage, Priority
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_broker.program import run
from fencebus_schemas.deadline import Deadline
from tests.broker_config.hosts import LIMIT, comes_true
from tests.broker_config.test_amqp1_on_rabbitmq import stay_outside
from tests.rabbitmq_rendered import Brokers
from tests.rabbitmq_site import running

pytestmark = [pytest.mark.xdist_group("federated-brokers"), pytest.mark.timeout(240)]

TOLD = Address("qmf.blue.direct", "told")


@pytest.fixture
def blue(federation: Brokers, tmp_path: Path) -> Iterator[Path]:
    """The domain's folder, with the CA of the first; its definitions are imported by both brokers."""
    (tmp_path / "private").mkdir(mode=0o700)
    for name in ("ca.pem", "ca.key"):
        shutil.copy2(federation.folder / "private" / name, tmp_path / "private" / name)
    at = ",".join(f"{each.name}:{each.port}" for each in federation.site.brokers)
    options = ("--brokers", at, "--federated", "--domain", "blue", "--watchers", "", "--out", str(tmp_path))
    assert run(["render", "--broker", "rabbitmq", "--hosts", "x,y", *options]) == 0
    for node, broker in zip(federation.nodes, federation.site.brokers, strict=True):
        made = tmp_path / "brokers" / broker.name / "etc/rabbitmq/definitions.json"
        text = made.read_text("utf-8").replace("/etc/rabbitmq", str(node.folder / "etc/rabbitmq"))
        made.write_text(text, "utf-8")
        imported = node.ask(f'{{ok, Read}} = file:read_file("{made}"), rabbit_definitions:import_raw(Read)')
        assert "ok" in imported, imported
    yield tmp_path
    for node in federation.nodes:
        node.ask('rabbit_vhost:delete(<<"fencebus-blue">>, <<"tests">>)')


def client(brokers: Brokers, folder: Path, host: str, at: int, vhost: str = "fencebus-blue") -> Bus:
    """A host of the second domain at the broker of this number."""
    etc = folder / "hosts" / host / "etc" / "fencebus"
    urls = (etc / "url").read_text("utf-8").strip().split(",")
    (url,) = (each for each in urls if f":{brokers.nodes[at].port}/" in each)
    papers = (str(etc / name) for name in ("ca.pem", f"{host}.pem", f"{host}.key"))
    names = ("ca_file", "cert_file", "key_file")
    tls = replace(brokers.terms("host1").tls, **dict(zip(names, papers, strict=True)))
    return bus_at(url.replace("fencebus-blue", vhost), BusTerms("blue", tls=tls))


async def test_both_pass_messages_on_and_no_host_enters_the_other_domain(federation: Brokers, blue: Path) -> None:
    one, other = client(federation, blue, "x", 0), client(federation, blue, "y", 1)
    old, older = federation.client("host1", 0), federation.client("host2", 1)
    heard: list[bytes] = []
    other.subscribe(TOLD, lambda message: heard.append(message.body))
    older.subscribe(Address("qmf.default.direct", "told"), lambda message: heard.append(message.body))
    async with running(one), running(other), running(old), running(older):
        for _ in range(int(LIMIT / 0.2)):  # the other broker has to learn first what is bound here
            for bus, to, body in ((one, TOLD, b"blue"), (old, Address("qmf.default.direct", "told"), b"default")):
                await bus.send(to, BusMessage(body, ttl=5.0), Deadline.after(LIMIT), Priority.COMMAND)
            if await comes_true(lambda: set(heard) == {b"blue", b"default"}, 0.2):
                break
    assert set(heard) == {b"blue", b"default"}
    await stay_outside(client(federation, blue, "x", 0, "fencebus"))
