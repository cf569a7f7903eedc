"""Several fence_virtd as processes of their own, each a host, joined by a real RabbitMQ; in front the C client."""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fencebus_agent.bus import Address, Bus, BusMessage, direct_exchange, topic_exchange
from fencebus_agent.bus_terms import Terms
from fencebus_agent.kombu_bus import KombuBus
from tests.components import require_program
from tests.daemon_process import DaemonProcess
from tests.rabbitmq import RabbitMq

BUS_KEY, NEW_KEY = b"the key that the hosts have, and no guest", b"the key that takes its place"
DONE, FAILED, OFF, DENIED = 0, 1, 2, 3
"""Exit statuses of the C client."""
PATIENCE = 8
SEEN = 60.0
"""Seconds within which a host on a loaded machine has heard of another's VMs."""
TRUSTED, STRANGER = "asker", "answerer"
"""Users of the broker: consoles of the first may call methods."""


@dataclass(frozen=True)
class Said:
    """What the C client was told: its exit status and what it printed."""

    status: int
    text: str = ""


STATUS_ON, STATUS_OFF = Said(DONE, "Status: ON\n"), Said(OFF, "Status: OFF\n")


@dataclass(slots=True)
class BusHost:
    """One host."""

    name: str
    daemon: DaemonProcess

    def ask(self, action: str, target: str = "") -> Said:
        """A guest asks this host, by Debian's fence_virt."""
        program = require_program("fence_virt", "fence-virt")
        argv: list[str | Path] = [program, "-T", "127.0.0.1", "-p", str(self.daemon.port)]
        argv += ["-k", self.daemon.key_file, "-o", action, *(["-H", target] if target else [])]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        return Said(done.returncode, done.stdout)

    def use_keys(self, *names: str) -> None:
        """Have it reload with these keys, the first of which signs."""
        new = self.daemon.folder / "new.key"
        new.touch(mode=0o600)
        new.write_bytes(NEW_KEY)
        paths = ", ".join(str(self.daemon.folder / name) for name in names)
        text = re.sub(r'(qmf .* key_file = )"[^"]*"', rf'\1"{paths}"', self.daemon.config_file.read_text("utf-8"))
        self.daemon.config_file.write_text(text, "utf-8")
        before = len(self.daemon.log)
        self.daemon.process.send(signal.SIGHUP)
        self.daemon.wait_for_line("configuration reloaded", before)

    def verdicts(self, target: str) -> list[str]:
        """The verdicts in its log on a target."""
        return self.daemon.says(rf"verdict request=.* target='{re.escape(target)}'")

    def sees(self, target: str, status: Said) -> None:
        """Return once it says so of a VM of another host: that one tells it a moment after it has answered."""
        self.daemon.process.wait_until(lambda: self.ask("status", target) == status, SEEN, f"saying {status}")

    def knows(self, *vms: str) -> None:
        """Return once it lists these VMs, whoever has them."""

        self.daemon.wait_ready()

        def listed() -> bool:
            names = [line.split()[0] for line in self.ask("list").text.splitlines()]
            return set(vms) <= set(names)

        self.daemon.process.wait_until(listed, SEEN, f"{self.name} knowing {', '.join(vms)}")


@dataclass(frozen=True)
class BusSite:
    """How the hosts of one site are set up."""

    folder: Path
    broker: RabbitMq
    names: Sequence[str]
    domain: str = field(default_factory=lambda: f"d{secrets.token_hex(4)}")
    """So that sites on one broker do not hear each other."""
    key: bytes = BUS_KEY

    def host(
        self,
        name: str,
        vms: Mapping[str, str],
        *,
        uri: str = "",
        rest: str = "",
        scheme: str = "amqp",
        before: str = "",
    ) -> BusHost:
        """A host that has not been started, on libvirt's test driver if no ``uri`` is given; ``before`` is tried before
        the broker.
        """
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        key = folder / "bus.key"
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        listed = " ".join(f'host {{ name = "{each}"; }}' for each in self.names)
        url, more = self.broker.url(name).replace("amqp", scheme, 1), f'trusted_users = "{TRUSTED}";'
        daemon = DaemonProcess(
            folder,
            backend="qmf",
            daemon=f'host = "{name}"; request_timeout = "{PATIENCE}";',
            backends=f'qmf {{ url = "{before}{url}"; key_file = "{key}"; domain = "{self.domain}"; {more} }}',
            rest=f"hosts {{ {listed} }}\n{rest}",
            vms=vms,
            uri=uri,
        )
        return BusHost(name, daemon)

    def client(self, user: str) -> Bus:
        """A client of the broker that has no key of the hosts."""
        return KombuBus(self.broker.url(user), Terms(self.domain))

    def address(self, host: str) -> Address:
        """Where a host is told what concerns it alone."""
        return Address(direct_exchange(self.domain), f"fencebus.host.{host}")

    @property
    def everybody(self) -> Address:
        """Where all hosts listen."""
        return Address(topic_exchange(self.domain), "fencebus.hosts")


def rubbish(body: bytes) -> BusMessage:
    """A message that claims to be a host's."""
    return BusMessage(body, "application/x-fencebus-peer", ttl=5.0)
