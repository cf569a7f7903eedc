"""Decides whether a backend would end VMs of this host's own QEMU through libvirt.  Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from fencebus_host.config.model import BackendSettings, LibvirtSettings
from fencebus_host.config.ordered_settings import parts_of


def kills_here(backend: BackendSettings) -> bool:
    """True if a libvirt URI among the backend's means this host's QEMU, whatever way it is reached by."""
    return any(_is_here(uri) for part in parts_of(backend) if isinstance(part, LibvirtSettings) for uri in part.uris)


def _is_here(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return True
    if parts.scheme.partition("+")[0] != "qemu":
        return False
    return parts.hostname in (None, "localhost", "127.0.0.1", "::1")
