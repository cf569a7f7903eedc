"""Looks at the hosts' own cluster: corosync lets the daemon in and is quorate, where it is configured or needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fencebus_host.config.model import ClusterSettings, Config
from fencebus_host.ctl.doctor.findings import Finding, bad, good, odd
from fencebus_host.ctl.survey import Site
from fencebus_host.routers.checkpoint.reach import Reach, look

Look = Callable[[], Reach]
"""Asks corosync, for a few seconds at most."""


def check_corosync(config: Config, site: Site, ask: Look = look) -> Iterator[Finding]:
    """Nothing on a host that is in no cluster."""
    needed = isinstance(config.backend, ClusterSettings)
    if not needed and not site.corosync:
        return
    tell = bad if needed else odd
    why = "the router of this configuration needs it" if needed else "corosync.conf is there"
    if needed and not site.corosync:
        yield bad("corosync-missing", f"there is no corosync.conf, and {why}", "make this host part of its cluster")
        return
    found = ask()
    if found.trouble:
        text = f"the hosts' group cannot be joined, and {why}: {found.trouble}"
        yield tell("corosync-down", text, "systemctl start corosync; journalctl -u corosync")
    elif found.quorate:
        yield good("corosync-quorate", "corosync lets fence_virtd into the hosts' group, and is quorate")
    elif not found.counted:
        text = "corosync has no quorum provider: nothing of other hosts can be declared off"
        yield tell("corosync-no-provider", text, "quorum { provider: corosync_votequorum } in corosync.conf")
    else:
        fix = "corosync-quorumtool -s on every host; corosync-cfgtool -s shows the links"
        yield tell("corosync-quorate", "corosync runs, but this host's part of the cluster is not quorate", fix)
