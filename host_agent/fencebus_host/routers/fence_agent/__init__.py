"""The fence_agent router: any installed fence agent as the way to the VMs of a hypervisor manager."""

from __future__ import annotations

import pwd

from fencebus_host.config.fence_agent_settings import AgentSettings, FenceAgentSettings
from fencebus_host.ports import Router
from fencebus_schemas.model import HostId, Incarnation


def build(settings: FenceAgentSettings, host: HostId, incarnation: Incarnation) -> Router:
    """The router for these agents: several stand in the order of the file."""
    from fencebus_host.routers.ordered import OrderedRouter

    routers = [_router(each, host, incarnation) for each in settings.agents]
    return routers[0] if len(routers) == 1 else OrderedRouter(routers)


def _router(settings: AgentSettings, host: HostId, incarnation: Incarnation) -> Router:
    # Late, so that the configuration can use the pure parts without the rest.
    from fencebus_host.routers.fence_agent.agent import Agent
    from fencebus_host.routers.fence_agent.process import Account
    from fencebus_host.routers.fence_agent.router import FenceAgentRouter

    account = None
    if settings.user is not None:
        entry = pwd.getpwnam(settings.user)
        account = Account(entry.pw_uid, entry.pw_gid, (), entry.pw_dir)
    return FenceAgentRouter(settings, Agent(settings, account), host, incarnation)
