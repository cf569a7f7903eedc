"""Our daemon as a process, with managers behind it, and the C client in front of it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.components import require_module, require_program
from tests.managers.fencing import until
from tests.managers.programs import Ended, run
from tests.managers.site import PASSWORD, USER
from tests.managers.stand_in import StandIn
from tests.ports import free_tcp_port
from tests.server_process import ServerProcess

SUCCESS, FAILURE, OFF, DENIED = 0, 1, 2, 3
"""What the C client's exit status says."""


@dataclass(slots=True)
class Front:
    """A daemon whose backend is a manager, or several."""

    folder: Path
    managers: Sequence[StandIn]
    timeout: float = 6.0
    backend: str = "ovirt"
    more: str = ""
    """Further keys of each manager."""
    port: int = field(default_factory=free_tcp_port)
    process: ServerProcess = field(init=False)

    def __post_init__(self) -> None:
        for name, content in (("key", b"shared by all"), ("credentials", _credentials())):
            (self.folder / name).touch(mode=0o600)
            (self.folder / name).write_bytes(content)
        (self.folder / "conf").touch(mode=0o600)
        (self.folder / "conf").write_text(self._text(), encoding="utf-8")
        argv: list[str | Path] = [sys.executable, "-m", "fencebus_host.daemon", "-F", "-d1", "-f", self.folder / "conf"]
        self.process = ServerProcess([*argv, "-p", self.folder / "pid"], self.folder / "log")

    def _text(self) -> str:
        managers = "".join(
            f'manager = "engine{number}" {{ url = "{one.url}"; ca_file = "{one.certificates.ca}"; {self.more} }}\n'
            for number, one in enumerate(self.managers)
        )
        return (
            f'fence_virtd {{ backend = "{self.backend}"; listener = "tcp"; state_dir = "{self.folder}/state"; '
            f'request_timeout = "{self.timeout:g}"; }}\n'
            f'listeners {{ tcp {{ key_file = "{self.folder}/key"; port = "{self.port}"; }} }}\n'
            f'backends {{ {self.backend} {{ credentials_file = "{self.folder}/credentials"; {managers} }} }}\n'
        )

    @property
    def log(self) -> str:
        """What the daemon has said."""
        return self.process.output

    async def ask(self, action: str, target: str = "", make: str = "C") -> Ended:
        """What C's client, or ours, gets."""
        program = require_program("fence_virt", package="fence-virt") if make == "C" else _our_client()
        named = ("-n", target) if target else ()
        where = ("-T", "127.0.0.1", "-p", str(self.port), "-k", self.folder / "key", "-t", "20")
        return await run(program, *where, "-o", action, *named)

    def verdict(self) -> str:
        """The daemon's line about the last request."""
        return str(re.findall(r"verdict request=.*", self.log)[-1])


def _credentials() -> bytes:
    return f"user = {USER}\npassword = {PASSWORD}\n".encode()


def _our_client() -> Path:
    return Path(__file__).parents[2] / "guest_client" / "bin" / "fence_virt"


@asynccontextmanager
async def running(made: Front) -> AsyncIterator[Front]:
    """The daemon, ready; it ends with the context."""
    require_module("libvirt", extra="host")
    made.process.start()
    try:
        await until(lambda: "fence_virtd ready" in made.log)
        yield made
    finally:
        await asyncio.to_thread(made.process.stop)
