"""Runs other programs beside the stand-in, which serves them from the loop of the same test."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.components import require_file, require_module, require_program
from tests.managers.site import PASSWORD, USER
from tests.managers.stand_in import StandIn

PATIENCE = 120.0
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[object]:
        """Its output, where that is JSON in lines."""
        assert self.status == 0, self.err
        return [json.loads(line) for line in self.out.splitlines()]


async def run(*argv: str | Path, stdin: str = "") -> Ended:
    """Run a program to its end."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def rhevm_input(stand_in: StandIn, action: str, plug: str = "", **more: str) -> str:
    """What Pacemaker would write to fence_rhevm, with all its pauses left out."""
    version = ("3", "/api") if stand_in.versions == (3,) else ("4", "/ovirt-engine/api")
    said = {
        "action": action,
        "plug": plug,
        "ip": "127.0.0.1",
        "ipport": str(stand_in.port),
        "ssl": "1",
        "ssl_insecure": "1",
        "username": USER,
        "password": PASSWORD,
        "api_version": version[0],
        "api_path": version[1],
        "power_wait": "0",
        "power_timeout": "2",
        **more,
    }
    return "".join(f"{name}={value}\n" for name, value in said.items())


async def fence_rhevm(stand_in: StandIn, action: str, plug: str = "", **more: str) -> Ended:
    """Debian's fence_rhevm, called as Pacemaker calls it."""
    program = require_program("fence_rhevm", package="fence-agents")
    return await run(program, stdin=rhevm_input(stand_in, action, plug, **more))


async def sdk(stand_in: StandIn, *steps: str, password: str = PASSWORD) -> list[object]:
    """What oVirt's own client answers."""
    require_module("ovirtsdk4", extra="ovirt-sdk")
    ca = stand_in.certificates.ca
    return (await run(sys.executable, HERE / "witness_sdk.py", stand_in.url, ca, USER, password, *steps)).lines


async def govirt(stand_in: StandIn, *steps: str) -> list[object]:
    """What GNOME's client answers."""
    require_file("/usr/lib/x86_64-linux-gnu/girepository-1.0/GoVirt-1.0.typelib", package="gir1.2-govirt-1.0")
    python = require_file("/usr/bin/python3", package="python3-gi")
    where, ca = stand_in.url.removeprefix("https://"), stand_in.certificates.ca
    return (await run(python, HERE / "witness_govirt.py", where, ca, USER, PASSWORD, *steps)).lines
