"""Decides which fence agents are ways to VMs, from the section `fence_agent`, and checks what is on the disk."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from fencebus_host.config import fence_agent_keys as keys
from fencebus_host.config.agent_checks import CAUTIONS, why_loop, why_not, why_unsafe_program
from fencebus_host.config.agent_options import read_options
from fencebus_host.config.fence_agent_settings import AgentSettings, FenceAgentSettings, MappedVm
from fencebus_host.config.key import Key
from fencebus_host.config.model import ListenerSettings
from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.section import Reading
from fencebus_host.config.tree import Item
from fencebus_host.neighbours import is_own_address
from fencebus_host.routers.fence_agent.plugs import why_bad

T = TypeVar("T")


def fence_agent(reading: Reading, where: Where | None) -> FenceAgentSettings:
    """The agents of one section: its `manager` sections, else the one that its own keys describe.

    What a `manager` section does not say is taken from the section around it.  The disk is not looked at yet.
    """
    if not reading.written and where is None:
        return FenceAgentSettings()
    problems = reading.problems
    inner = [(item.value or "", Reading(item, keys.FENCE_AGENT_MANAGER, problems)) for item in reading.inner("manager")]
    if inner and reading.inner("vm"):
        problems.error(reading.inner("vm")[0].where, "stray-vm", "`vm` belongs into one of the `manager` sections here")
    found = [_agent(name, each, reading) for name, each in inner or [("", reading)]]
    agents = tuple(agent for agent in found if agent is not None)
    names = [agent.name for agent in agents]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.error(reading.place, "same-name", f"two agents are called `{name}`", 'manager = "other" {')
    return FenceAgentSettings(where=where, agents=agents)


def _agent(name: str, own: Reading, around: Reading) -> AgentSettings | None:
    def said(key: Key[T]) -> T:
        return (own if own.where(key) else around).get(key)

    agent = said(keys.AGENT)
    if agent is None:
        own.problems.error(own.place, "missing-key", "which agent is to be run?", 'agent = "fence_...";')
        return None
    if refusal := why_not(agent):
        own.problems.error(own.place, "unfit-agent", refusal)
    if caution := CAUTIONS.get(agent):
        own.problems.warning(own.place, "agent-caution", f"`{agent}`: {caution[0]}", f"better: {caution[1]}")
    return AgentSettings(
        name=f"fence_agent:{name}" if name else "fence_agent",
        agent=agent,
        agent_dir=said(keys.AGENT_DIR),
        user=said(keys.USER),
        options_file=said(keys.OPTIONS_FILE),
        at_most=said(keys.AT_MOST),
        list_seconds=said(keys.LIST_SECONDS),
        vms=_vms(own.inner("vm"), own.problems),
    )


def _vms(items: Iterable[Item], problems: Problems) -> tuple[MappedVm, ...]:
    found: list[MappedVm] = []
    for item in items:
        vm = _vm(item, problems)
        if vm is not None:
            for text in _taken(vm, found):
                problems.error(item.where, "same-vm", f"{text} is another VM's already")
            found.append(vm)
    return tuple(found)


def _taken(vm: MappedVm, before: Iterable[MappedVm]) -> Iterator[str]:
    for other in before:
        if vm.plug == other.plug:
            yield f"the plug `{vm.plug}`"
        if vm.name == other.name:
            yield f"the name `{vm.name}`"
        if vm.uuid is not None and vm.uuid == other.uuid:
            yield f"the UUID {vm.uuid}"


def _vm(item: Item, problems: Problems) -> MappedVm | None:
    reading = Reading(item, keys.FENCE_AGENT_VM, problems)
    name = reading.get(keys.VM_NAME)
    plug = reading.get(keys.VM_PLUG) or name
    if name is None or plug is None:
        problems.error(item.where, "missing-name", "a VM needs a name", 'vm { name = "..."; plug = "..."; }')
        return None
    if bad := why_bad(plug):
        problems.error(item.where, "bad-plug", f"the plug `{plug}` {bad}")
    return MappedVm(name, plug, reading.get(keys.VM_UUID))


# -- what is on the disk ----------


def with_options(
    settings: FenceAgentSettings, listeners: Iterable[ListenerSettings], problems: Problems
) -> FenceAgentSettings:
    """The settings with what stands in the options files; what is wrong with them, the programs and the users is
    reported, and so is an agent that would ask this daemon itself.
    """
    where, known = settings.where or Where(""), tuple(listeners)
    agents = tuple(_checked(agent, known, where, problems) for agent in settings.agents)
    return replace(settings, agents=agents)


def _checked(
    agent: AgentSettings, listeners: tuple[ListenerSettings, ...], where: Where, problems: Problems
) -> AgentSettings:
    options = read_options(agent.options_file, where, problems) if agent.options_file else ()
    found = replace(agent, options=options)
    for code, trouble in (
        ("unsafe-agent", why_unsafe_program(agent.program)),
        ("bad-user", why_bad_user(agent.user)),
        ("loop", why_loop(found, listeners, _is_own)),
    ):
        if trouble:
            problems.error(where, code, f"{agent.name}: {trouble}")
    return found


def why_bad_user(user: str | None) -> str:
    """Why an agent cannot run as this user; empty if it can."""
    if user is None:
        return "" if os.geteuid() else 'as whom is the agent to run? user = "...";'
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return f"there is no user `{user}`"
    if os.geteuid() not in (0, account.pw_uid):
        return f"only root could run an agent as `{user}`"
    return ""


def _is_own(address: str) -> bool:
    """An address of which the kernel does not say whose it is may be ours (S10)."""
    try:
        return is_own_address(address)
    except OSError:
        return True
