"""Decides whether a backend would end VMs of this host's own QEMU through libvirt.  Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import BackendSettings, ClusterSettings, LibvirtSettings
from fencebus_host.config.ordered_settings import parts_of


def kills_here(backend: BackendSettings) -> bool:
    """True if a libvirt URI among the backend's means this host's QEMU, whatever way it is reached by."""
    return any(_is_here(uri) for own in map(own_libvirt, parts_of(backend)) if own for uri in own.uris)


def own_libvirt(backend: BackendSettings) -> LibvirtSettings | None:
    """The hypervisors of this host that a backend acts on; ``None`` if it acts on none."""
    if isinstance(backend, QmfSettings):
        return backend.libvirt
    if isinstance(backend, ClusterSettings):
        return LibvirtSettings(uris=backend.uris, death_proof=backend.death_proof)
    return backend if isinstance(backend, LibvirtSettings) else None


def _is_here(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return True
    if parts.scheme.partition("+")[0] != "qemu":
        return False
    return parts.hostname in (None, "localhost", "127.0.0.1", "::1")
