"""Decides which hosts have a fence agent of their own, and checks what is on the disk.

An agent that cuts a host off from its disks or networks leaves its VMs running: it proves nothing (S13).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fencebus_host.config import host_keys as keys
from fencebus_host.config.agent_checks import why_not, why_unsafe_program
from fencebus_host.config.agent_options import read_options
from fencebus_host.config.fence_agent_keys import AGENT_DIR, OPTIONS_FILE, USER
from fencebus_host.config.fence_agent_section import why_bad_user
from fencebus_host.config.host_settings import HostAgentSettings
from fencebus_host.config.problems import Problems
from fencebus_host.config.section import Reading
from fencebus_host.proofs.cluster_view import NO_POWER
from fencebus_host.routers.fence_agent.plugs import why_bad


def host_agent(name: str, reading: Reading) -> HostAgentSettings | None:
    """What one `host` section says of its agent; ``None`` if it names none.  The disk is not looked at yet."""
    agent, problems = reading.get(keys.AGENT), reading.problems
    if agent is None:
        for key in keys.HOST_KEYS:
            if key is not keys.AGENT and (place := reading.where(key)):
                problems.error(place, "missing-key", f"`{key.name}` of which agent?", 'agent = "fence_ipmilan";')
        return None
    if refusal := why_no_witness(agent):
        problems.error(reading.place, "unfit-agent", refusal)
    plug = reading.get(keys.PLUG)
    if plug is not None and (bad := why_bad(plug)):
        problems.error(reading.place, "bad-plug", f"the plug `{plug}` {bad}")
    return HostAgentSettings(
        name=name,
        agent=agent,
        agent_dir=reading.get(AGENT_DIR),
        user=reading.get(USER),
        plug=plug,
        options_file=reading.get(OPTIONS_FILE),
        where=reading.place,
    )


def why_no_witness(agent: str) -> str:
    """Why an agent's word about a host is no proof; empty if it may be one."""
    if refusal := why_not(agent):
        return refusal
    return f"`{agent}` takes no power away: the VMs of a host that it fenced may still run" if agent in NO_POWER else ""


def with_host_options(agents: Iterable[HostAgentSettings], problems: Problems) -> tuple[HostAgentSettings, ...]:
    """The settings with what stands in the options files; what is wrong with them, the programs and the users is
    reported.
    """
    return tuple(_checked(each, problems) for each in agents)


def _checked(agent: HostAgentSettings, problems: Problems) -> HostAgentSettings:
    options = read_options(agent.options_file, agent.where, problems) if agent.options_file else ()
    for code, trouble in (
        ("unsafe-agent", why_unsafe_program(agent.program)),
        ("bad-user", why_bad_user(agent.user)),
    ):
        if trouble:
            problems.error(agent.where, code, f"the agent of host `{agent.name}`: {trouble}")
    return replace(agent, options=options)
