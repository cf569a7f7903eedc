"""Builds what administrators see of a daemon from its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fencebus_host.assembly import Core
from fencebus_host.config.effective import effective
from fencebus_host.config.model import Config
from fencebus_host.config.tree import render
from fencebus_host.control_acts import Acts
from fencebus_host.control_desk import Desk, Sources
from fencebus_host.control_hosts import HostOrders
from fencebus_host.control_members import short
from fencebus_host.control_parts import HasState, PartNews
from fencebus_host.control_routers import router_status
from fencebus_host.control_watch import AskingEyes, PictureEyes, Watch


@dataclass(frozen=True, slots=True)
class Site:
    """What answers, and what has to run for it."""

    desk: Desk
    watch: Watch
    parts: PartNews


def build(
    core: Core, config: Callable[[], Config], parts: Callable[[], Iterable[HasState]], epoch: int | None = None
) -> Site:
    """``config`` and ``parts`` are asked anew for each answer: a reload may change them.

    ``epoch`` is the number of this run of the daemon, where QMF consoles see one.
    """
    daemon = config().daemon
    alone = AskingEyes(core.host, core.router)
    watch = Watch(PictureEyes(core.host, core.federated.ownership) if core.federated else alone, core.events)
    core.service.join(watch)
    core.service.introduce(watch.name_of)
    for hypervisor in core.hypervisors:
        hypervisor.subscribe(watch.changed)
    sources = Sources(
        host=daemon.host_name,
        incarnation=short(core.incarnation),
        router=core.router.name,
        file=lambda: str(config().file) if config().file else None,
        config=lambda: render(effective(config())),
        parts=parts,
        watch=watch,
        requests=core.requests,
        events=core.events,
        chronicle=core.records,
        pause=core.pause,
        heard_ago=core.service.heard_ago,
        routers=lambda: (router_status(core.federated, core.host, epoch),) if core.federated else (),
    )
    hosts = HostOrders(core.federated, core.host)
    acts = Acts(core.service, core.router, core.pause, core.events, lambda: watch.view, core.federated)
    return Site(Desk(sources, acts, hosts.answers, time.time), watch, PartNews(parts, core.events))
