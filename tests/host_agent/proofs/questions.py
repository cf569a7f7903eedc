"""Questions about a dead host, as a course puts them, and witnesses that a test chooses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from fencebus_host.effects import AskProof
from fencebus_host.host_death import Finding
from fencebus_schemas.deadline import boottime
from fencebus_schemas.model import HostId, Incarnation, RequestId

B = HostId("b")
DIED = Incarnation("boot", "machine", "1")


def question(host: HostId = B, *, may_act: bool = False, seconds: float = 20.0) -> AskProof:
    """Asked now."""
    now = boottime()
    return AskProof(RequestId("1"), host, DIED, 1, now, may_act, now + seconds)


@dataclass
class Says:
    """A witness that says what it is told, and remembers what it was asked."""

    finding: Finding | Exception
    asked: list[AskProof] = field(default_factory=list)

    async def run(self) -> None:
        """See ``HostWitness``."""
        await asyncio.get_running_loop().create_future()

    async def ask(self, question: AskProof) -> Finding:
        """See ``HostWitness``."""
        self.asked.append(question)
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding


def power_switch(folder: Path) -> Path:
    """A fence agent whose power is the word in ``folder/power``; what it is asked stands in ``folder/asked``."""
    program = folder / "fence_lights"
    program.write_text(
        "#!/bin/sh\n"
        'while read -r line; do case "$line" in action=*) action=${line#action=};; esac; done\n'
        f'echo "$action" >> {folder}/asked\n'
        f"power=$(cat {folder}/power)\n"
        'case "$action" in\n'
        f"off) echo OFF > {folder}/power.new; mv {folder}/power.new {folder}/power; exit 0;;\n"
        'status) [ "$power" = OFF ] && { echo "Status: OFF"; exit 2; }\n'
        '    [ "$power" = ON ] && { echo "Status: ON"; exit 0; };;\n'
        "esac\n"
        "echo 'no route to the power switch' >&2\n"
        "exit 1\n"
    )
    program.chmod(0o755)
    turn(folder, "ON")
    (folder / "asked").touch()
    return program


def turn(folder: Path, power: str) -> None:
    """What the agent says from now on: ON, OFF, or nothing that makes sense."""
    made = folder / "power.new"
    made.write_text(f"{power}\n")
    made.replace(folder / "power")


def asked_of(folder: Path) -> list[str]:
    """What the agent was asked, in order."""
    return (folder / "asked").read_text().split()
