"""Builds the witnesses of other hosts' deaths from the configuration: one place that knows what each needs."""

from __future__ import annotations

import pwd
from collections.abc import Callable

from fencebus_host.config.host_settings import HostAgentSettings, HostFencing
from fencebus_host.config.model import Config
from fencebus_host.ownership import Ownership
from fencebus_host.proofs.attempts import Attempts
from fencebus_host.proofs.fence_agent import Acting, FenceAgentWitness, HostAgent
from fencebus_host.proofs.operator import OperatorWitness
from fencebus_host.proofs.pacemaker import CRM_MON, PacemakerWitness
from fencebus_host.proofs.panel import HostWitness, Panel
from fencebus_host.proofs.restraint import Company, Limits
from fencebus_host.routers.fence_agent.process import Account
from fencebus_schemas.deadline import Clock, boottime
from fencebus_schemas.model import HostId
from fencebus_schemas.peer import Confirmed


def build_panel(config: Config, boot_id: str, ownership: Callable[[], Ownership], clock: Clock = boottime) -> Panel:
    """All witnesses that this host can ask; ``ownership`` is asked once the router runs that knows the others."""

    def confirmed(host: HostId) -> Confirmed | None:
        return ownership().confirmations.standing(host)

    witnesses: list[HostWitness] = [OperatorWitness(confirmed)]
    if config.host_agents:
        agents = {HostId(each.name): _agent(each) for each in config.host_agents}
        witnesses.append(FenceAgentWitness(agents, _acting(config, boot_id, ownership, clock), clock))
    if CRM_MON.exists():
        witnesses.append(PacemakerWitness(clock=clock))
    return Panel(witnesses)


def _agent(settings: HostAgentSettings) -> HostAgent:
    account = None
    if settings.user is not None:
        entry = pwd.getpwnam(settings.user)
        account = Account(entry.pw_uid, entry.pw_gid, (), entry.pw_dir)
    return HostAgent(settings.program, settings.options, settings.plug, account)


def _acting(config: Config, boot_id: str, ownership: Callable[[], Ownership], clock: Clock) -> Acting | None:
    daemon = config.daemon
    if daemon.host_fencing is not HostFencing.ACT:
        return None
    limits = Limits(daemon.host_fencing_at_once, daemon.host_fencing_seconds)

    def company() -> Company:
        known, now = ownership(), clock()
        return Company(sum(not known.is_silent(host, now) for host in known.members), len(known.members))

    return Acting(
        limits, Attempts(daemon.state_dir, boot_id), company, lambda host: ownership().is_silent(host, clock())
    )
