"""Runs RabbitMQ on settings as `fencebus_broker render` makes them: three nodes of a cluster, or two federated brokers.

What is changed of them is where things lie: files, and ports that nobody else uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fencebus_agent.bus import Bus
from fencebus_agent.bus_at import BusTerms, bus_at
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from fencebus_broker.rendering import render
from fencebus_broker.site import Site
from fencebus_broker.site import site as described
from fencebus_schemas.bus_url import Tls
from tests import ports
from tests.components import require_file, require_program
from tests.rabbitmq import RabbitMq, environment
from tests.rabbitmq_site import Gate
from tests.server_process import ServerProcess

HOSTS = "host1,host2,host3"
MODERN = "host4,host5,host6"
"""Hosts that speak AMQP 1.0, where a site has such."""
OPERATOR = "operator"


class Gates:
    """Ports in front of others, served by a thread, so that they outlive a test's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gates", daemon=True)
        self._gates: list[Gate] = []

    def __enter__(self) -> Gates:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for gate in self._gates:
            asyncio.run_coroutine_threadsafe(gate.close(), self._loop).result(60)
        asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def open(self, target: int) -> int:
        """A port that leads to ``target``."""
        gate = Gate(target)
        self._gates.append(gate)
        return asyncio.run_coroutine_threadsafe(gate.open(), self._loop).result(60)

    def shut(self, on: bool) -> None:
        """Shut all of them, or open them again."""
        for gate in self._gates:
            self._loop.call_soon_threadsafe(gate.shut, on)

    async def _settle(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@dataclass(slots=True)
class Brokers:
    """Brokers of one site that run."""

    site: Site
    folder: Path
    nodes: Sequence[RabbitMq]
    links: Gates
    """Between federated brokers."""
    _running: set[str] = field(default_factory=set)

    def url(self, user: str, *only: int) -> str:
        """What was rendered for a user; of certain brokers only, if their numbers are given."""
        urls = (self._etc(user) / "url").read_text("utf-8").strip()
        chosen = [f":{self.nodes[each].port}/" for each in only] or ["/"]
        return ",".join(url for wanted in chosen for url in urls.split(",") if wanted in url)

    def terms(self, user: str) -> Terms:
        """With the certificate that was rendered for the user."""
        etc = self._etc(user)
        return Terms(tls=Tls(str(etc / "ca.pem"), str(etc / f"{user}.pem"), str(etc / f"{user}.key")))

    def client(self, user: str, *only: int) -> KombuBus:
        """A client with all that was rendered for the user; of certain brokers only, in this order."""
        return KombuBus(self.url(user, *only), self.terms(user))

    def bus(self, user: str, *only: int) -> Bus:
        """The same, by whatever its rendered URL speaks."""
        return bus_at(self.url(user, *only), BusTerms(tls=self.terms(user).tls))

    def password(self, user: str) -> str:
        """As it was drawn."""
        return (self.folder / "private" / "passwords" / user).read_text("ascii")

    def papers(self, user: str) -> Path:
        """The folder of what was rendered for a user."""
        return self._etc(user)

    def _etc(self, user: str) -> Path:
        kind = "hosts" if user in self.site.hosts else "consoles"
        return self.folder / kind / user / "etc" / "fencebus"


@contextlib.contextmanager
def running_brokers(folder: Path, count: int, federated: bool, amqp1: str = "") -> Iterator[Brokers]:
    """So many brokers, as long as the context lasts; ``amqp1`` are hosts besides, which speak AMQP 1.0."""
    require_file("/usr/lib/rabbitmq/bin/rabbitmq-server", package="rabbitmq-server")
    require_program("openssl", package="openssl")
    at = [ports.free_tcp_port() for _ in range(count)]
    places = ",".join(f"fb{port}@127.0.0.1:{port}" for port in at)
    site = described(f"{HOSTS},{amqp1}", places, federated=federated, operators=OPERATOR, amqp1=amqp1)
    render("rabbitmq", site, folder)
    epmd_port = ports.free_tcp_port()
    epmd = [str(require_program("epmd", package="erlang-base")), "-port", str(epmd_port), "-address", "127.0.0.1"]
    with Gates() as links, ServerProcess(epmd, folder / "epmd.log") as names:
        names.wait_for_tcp(epmd_port)
        nodes = [_prepared(folder / "brokers" / each.name, each.name, each.port, epmd_port) for each in site.brokers]
        for node in nodes if federated else ():
            _lead_through(node, {other.port: links.open(other.port) for other in nodes if other is not node})
        try:
            if not federated:  # the others would wait for the first, and in vain for each other
                nodes[0].start()
            with ThreadPoolExecutor(count) as starting:
                list(starting.map(RabbitMq.start, nodes if federated else nodes[1:]))
            yield Brokers(site, folder, nodes, links)
        finally:
            for node in nodes:
                node.stop()
                shutil.rmtree(node.folder / "mnesia", ignore_errors=True)


def _prepared(folder: Path, name: str, port: int, epmd_port: int) -> RabbitMq:
    """A node on what was rendered for it."""
    etc = folder / "etc" / "rabbitmq"
    for path in (etc / "rabbitmq.conf", etc / "definitions.json"):
        path.write_text(path.read_text("utf-8").replace("/etc/rabbitmq", str(etc)), "utf-8")
    with (etc / "rabbitmq.conf").open("a") as settings:
        settings.write("log.console = true\nlog.console.level = warning\nlog.file = false\n")
        settings.write("vm_memory_high_watermark.absolute = 800MB\ndisk_free_limit.absolute = 1MB\n")
    cookie = folder / "var" / "lib" / "rabbitmq" / ".erlang.cookie"
    if not cookie.exists():
        cookie.parent.mkdir(parents=True)
        cookie.write_text("OF" + "".join(reversed(str(port))), "ascii")
    cookie.chmod(0o400)
    env = environment(folder, epmd_port, ports.free_tcp_port(), etc)
    return RabbitMq(folder, port, port, epmd_port, name, cookie.read_text("ascii"), {**env, "HOME": str(cookie.parent)})


def _lead_through(node: RabbitMq, gates: dict[int, int]) -> None:
    """Let its links to other brokers go through gates."""
    path = node.folder / "etc" / "rabbitmq" / "definitions.json"
    text = path.read_text("utf-8")
    for port, gate in gates.items():
        text = text.replace(f"@127.0.0.1:{port}/", f"@127.0.0.1:{gate}/")
    path.write_text(text, "utf-8")
