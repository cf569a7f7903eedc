"""Words for checked settings of hosts that fence together over an AMQP bus."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fencebus_host.config.model import BackendSettings, LibvirtSettings

DEFAULT_BUS_KEY = Path("/etc/fencebus/bus.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class QmfSettings(BackendSettings):
    """``qmf``, and ``libvirt-qmf`` and ``libvirt-qpid`` of old files: hosts on an AMQP bus."""

    kind: str = "qmf"
    url: str = field(default="", repr=False)
    """One or more URLs with commas in between; may hold passwords.  Made of the old keys where those are used."""
    key_files: tuple[Path, ...] = (DEFAULT_BUS_KEY,)
    keys: tuple[bytes, ...] = field(default=(), repr=False, compare=False)
    """What the files hold: the first signs, all verify.  Empty only where files are left alone, and nothing may run
    so.
    """
    domain: str = "default"
    trusted_users: tuple[str, ...] = ()
    """Users of the broker whose calls count though they cannot sign them."""
    ca_file: Path | None = None
    cert_file: Path | None = None
    certkey_file: Path | None = None
    service: str = ""
    gssapi: bool = False
    libvirt: LibvirtSettings = field(default_factory=LibvirtSettings)
    """What this host has itself."""
