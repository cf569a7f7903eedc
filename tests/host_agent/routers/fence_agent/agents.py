"""Fence agents written for the tests: programs that keep the contract, and such that break it in one place each."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fencebus_host.config.fence_agent_settings import AgentSettings, MappedVm
from fencebus_host.routers.fence_agent.agent import Agent
from fencebus_host.routers.fence_agent.router import FenceAgentRouter
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Life, Uuid
from tests.host_agent.evidence import HERE, INCARNATION

METADATA = """<?xml version="1.0" ?>
<resource-agent name="fence_written" shortdesc="for tests"><parameters>
<parameter name="action"/><parameter name="plug"/><parameter name="ip"/><parameter name="password"/>
<parameter name="delay"/><parameter name="separator"/><parameter name="power_timeout"/>
</parameters><actions>
<action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/>
<action name="list-status"/><action name="monitor"/><action name="metadata"/>
</actions></resource-agent>"""

# The state of plug P is the word in the file P; each run leaves what it read, and who it was, in `told`.
FAITHFUL = """\
#!/bin/sh
cd HERE || exit 1
while IFS='=' read -r key value; do
    case $key in action) action=$value ;; plug) plug=$value ;; separator) separator=$value ;; esac
    echo "$key=$value" >> told
done
echo "arguments=$# uid=$(id -u)" >> told
state() { [ -f "plug.$plug" ] && cat "plug.$plug"; }
on_metadata() { cat metadata.xml; }
on_off() { state > /dev/null || exit 1; echo off > "plug.$plug"; echo "Success: Powered OFF"; }
on_on() { state > /dev/null || exit 1; echo on > "plug.$plug"; echo "Success: Powered ON"; }
on_status() {
    case $(state) in
        on) echo "Status: ON" ;;
        off) echo "Status: OFF"; exit 2 ;;
        *) echo "no such plug" >&2; exit 1 ;;
    esac
}
on_list() { for each in plug.*; do echo "${each#plug.}${separator}name-${each#plug.}"; done; }
on_list_status() {
    for each in plug.*; do
        echo "${each#plug.}${separator}name-${each#plug.}${separator}$(tr a-z A-Z < "$each")"
    done
}
on_monitor() { :; }
CHANGED
on_$(echo "$action" | tr - _)
"""


@dataclass
class WrittenAgent:
    """An agent in a folder of its own; ``changed`` is shell code that replaces some of its functions."""

    folder: Path
    changed: str = ""
    plugs: dict[str, str] = field(default_factory=lambda: {"100": "on", "200": "off"})
    name: str = "fence_written"
    metadata: str = METADATA

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program = self.folder / self.name
        code = FAITHFUL.replace("HERE", str(self.folder)).replace("CHANGED", textwrap.dedent(self.changed))
        self.program.write_text(code)
        self.program.chmod(0o755)
        (self.folder / "metadata.xml").write_text(self.metadata)
        for plug, state in self.plugs.items():
            self.set(plug, state)

    def set(self, plug: str, state: str) -> None:
        """Put a plug into a state behind the agent's back."""
        (self.folder / f"plug.{plug}").write_text(f"{state}\n")

    def state(self, plug: str) -> str:
        """What a plug is."""
        return (self.folder / f"plug.{plug}").read_text().strip()

    @property
    def told(self) -> list[str]:
        """All lines that all runs read, each followed by how it was run."""
        told = self.folder / "told"
        return told.read_text().splitlines() if told.exists() else []

    def runs(self, action: str) -> int:
        """How often it was asked for an action."""
        return self.told.count(f"action={action}")

    def settings(self, *vms: MappedVm, at_most: int = 4, options: tuple[tuple[str, str], ...] = ()) -> AgentSettings:
        """Settings that use it."""
        return AgentSettings(
            name="fence_agent",
            agent=self.name,
            agent_dir=self.folder,
            vms=vms,
            at_most=at_most,
            options=options,
            list_seconds=60.0,
        )

    def router(self, *vms: MappedVm, at_most: int = 4, options: tuple[tuple[str, str], ...] = ()) -> FenceAgentRouter:
        """A router that uses it."""
        settings = self.settings(*vms, at_most=at_most, options=options)
        return FenceAgentRouter(settings, Agent(settings, None), HERE, INCARNATION)


def free(_life: Life | None) -> None:
    """A permit that forbids nothing."""


async def off(router: FenceAgentRouter, target: str, seconds: float = 5.0) -> Evidence:
    """Find a VM and end it."""
    deadline = Deadline.after(seconds)
    found = await router.find(target, deadline)
    return await router.power_off(vm_of(found), found, deadline, free)


async def until(true: Callable[[], bool]) -> None:
    """Return once it is."""
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


def vm_of(found: Evidence) -> Uuid:
    """The one VM that was found."""
    (record,) = found.records
    return record.uuid


def open_to_all(folder: Path) -> None:
    """Let every user enter it, and whatever lies above it up to the folder of all of pytest's runs."""
    for each in (folder, *folder.parents):
        each.chmod(0o755)
        if each.name.startswith("pytest-of-"):
            return
