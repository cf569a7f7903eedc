"""Looks at the hosts' own cluster: corosync runs and is quorate, where it is configured or the router needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fencebus_host.config.model import ClusterSettings, Config
from fencebus_host.ctl.doctor.findings import Finding, bad, good, odd
from fencebus_host.ctl.survey import Site

QUORATE, NOT_QUORATE = 0, 2
"""Exit statuses of corosync-quorumtool -s."""

Status = Callable[..., int | None]
"""Runs a program with arguments; its exit status, ``None`` if it is not there or hangs."""


def check_corosync(config: Config, site: Site, status: Status) -> Iterator[Finding]:
    """Nothing on a host that is in no cluster."""
    needed = isinstance(config.backend, ClusterSettings)
    if not needed and not site.corosync:
        return
    tell = bad if needed else odd
    why = "the router of this configuration needs it" if needed else "corosync.conf is there"
    if needed and not site.corosync:
        yield bad("corosync-missing", f"there is no corosync.conf, and {why}", "make this host part of its cluster")
        return
    answer = status("corosync-quorumtool", "-s")
    if answer == QUORATE:
        yield good("corosync-quorate", "corosync runs and is quorate")
    elif answer == NOT_QUORATE:
        fix = "corosync-quorumtool -s on every host; corosync-cfgtool -s shows the links"
        yield tell("corosync-quorate", "corosync runs, but this host's part of the cluster is not quorate", fix)
    else:
        yield tell(
            "corosync-down", f"corosync does not run, and {why}", "systemctl start corosync; journalctl -u corosync"
        )
