"""Decides how this host takes part in a corosync cluster that was found or configured, and reads the hosts' key."""

from __future__ import annotations

from dataclasses import replace

from fencebus_host.config.key_files import with_keys
from fencebus_host.config.model import ClusterSettings, LibvirtSettings
from fencebus_host.config.problems import Problems, Where


def discovered(libvirt: LibvirtSettings) -> ClusterSettings:
    """The settings of a host whose corosync was found, and whose configuration has no word about it."""
    return ClusterSettings(kind="checkpoint", uris=libvirt.uris, death_proof=libvirt.death_proof)


def with_cluster_keys(settings: ClusterSettings, problems: Problems) -> ClusterSettings:
    """The settings with what the key files hold.  S10: a file that is missing, unreadable or empty is a mistake."""
    where = settings.where or Where("")
    if len(settings.uris) > 1:
        text = f"with `{settings.kind}` a host has one libvirt, not {len(settings.uris)}"
        problems.error(where, "several-libvirts", text, "leave out uri1, uri2, ...")
    if not settings.key_files:
        return settings
    return replace(settings, keys=with_keys(settings.key_files, where, False, problems))
