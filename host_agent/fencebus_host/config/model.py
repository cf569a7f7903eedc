"""Words for checked settings: what the daemon needs to know, every value valid, nothing left to parse."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from fencebus_host.config.host_settings import HostAgentSettings, HostFencing
from fencebus_host.config.metrics_key import MetricsAddress
from fencebus_host.config.problems import Problem, Where
from fencebus_host.state_folder import DEFAULT_STATE_DIR

DEFAULT_KEY = Path("/etc/cluster/fence_xvm.key")
DEFAULT_PORT = 1229
REQUEST_TIMEOUT = 25.0
DEFAULT_URI = "qemu:///system"


class LogFormat(Enum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class Digest(Enum):
    """Hash of requests, or of the challenge and response; the values are the words of the configuration."""

    NONE = "none"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"


class Family(Enum):
    """The IP version of a socket."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


class LocalGuestsOnly(Enum):
    """Which guests a multicast listener answers (design, section 5)."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"


class SerialMode(Enum):
    """Which devices of a guest the serial listener listens on."""

    SERIAL = "serial"
    VMCHANNEL = "vmchannel"


class DeathProof(Enum):
    """When a local QEMU process' exit is enough (design, section 6.4)."""

    FULL = "full"
    """The exit, and the end of everything that may still write to its disks."""
    EXIT = "exit"
    """The administrator's word that nothing of a VM outlives its process."""


class NameMode(Enum):
    """By what a cluster router tracks VMs."""

    NAME = "name"
    UUID = "uuid"


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """What concerns the daemon as a whole."""

    host_name: str
    """This host's id: as configured, else the system's host name up to its first dot."""
    debug: int = 0
    """The C daemon's level of detail, from 0."""
    log_format: LogFormat = LogFormat.TEXT
    metrics: MetricsAddress | None = None
    """Where monitoring may read figures, if it may."""
    foreground: bool = False
    wait_for_init: bool = False
    """Go on trying parts that fail at the start, rather than giving up."""
    state_dir: Path = DEFAULT_STATE_DIR
    request_timeout: float = REQUEST_TIMEOUT
    """Seconds from receipt to answer, for listeners that do not say otherwise (S9)."""
    host_fencing: HostFencing = HostFencing.VERIFY
    host_fencing_seconds: float = 600.0
    host_fencing_at_once: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """What every listener has."""

    kind: str
    """``tcp``, ``multicast``, ``vsock`` or ``serial``."""
    instance: str = ""
    """Tells several listeners of one kind apart: the ``br1`` of ``multicast = "br1" { ... }``."""
    request_timeout: float = REQUEST_TIMEOUT
    """Seconds from receipt to answer (S9)."""
    where: Where = field(compare=False)
    """Not compared: a listener goes on undisturbed when a reload finds it at another line."""

    @property
    def name(self) -> str:
        """``tcp``, or ``multicast:br1`` for an instance; unique within a configuration."""
        return f"{self.kind}:{self.instance}" if self.instance else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedSettings(ListenerSettings):
    """A listener that authenticates its peers with shared keys."""

    key_files: tuple[Path, ...] = (DEFAULT_KEY,)
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """The contents of ``key_files``: the first signs, all verify.  Empty only if none is needed, or ``needs_key``."""
    hash: Digest = Digest.SHA256
    """The weakest hash that a request may be signed with."""
    auth: Digest = Digest.SHA256
    """The hash of the challenge and response on the connection."""
    port: int = DEFAULT_PORT

    @property
    def uses_key(self) -> bool:
        """Whether these settings authenticate anything."""
        return self.hash is not Digest.NONE or self.auth is not Digest.NONE

    @property
    def needs_key(self) -> bool:
        """True if this listener must not run, because nobody gave it a key.  Only a default listener can be so."""
        return self.uses_key and not self.keys


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings(KeyedSettings):
    """A listener on a TCP socket."""

    kind: str = "tcp"
    family: Family = Family.IPV4
    address: str = "127.0.0.1"
    """An address of ``family``, or a host name that the listener resolves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MulticastSettings(KeyedSettings):
    """A listener on a multicast group."""

    kind: str = "multicast"
    family: Family = Family.IPV4
    address: str = "225.0.0.12"
    """A multicast address of ``family``."""
    interface: str | None = None
    """The interface that joins the group; ``None`` leaves the choice to the kernel.  It need not exist yet."""
    local_guests_only: LocalGuestsOnly = LocalGuestsOnly.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class VsockSettings(KeyedSettings):
    """A listener on AF_VSOCK."""

    kind: str = "vsock"


@dataclass(frozen=True, slots=True, kw_only=True)
class TtySettings:
    """A serial port of the host itself, with a guest at the other end of the cable."""

    device: Path
    vm: str
    """The name or UUID of the guest."""
    speed: int = 115200
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings(ListenerSettings):
    """A listener on the sockets behind the guests' serial ports or VM channels, or on one serial port of the host."""

    kind: str = "serial"
    uri: str | None = None
    """The libvirt connection that knows the guests; ``None`` is libvirt's default."""
    path: Path | None = None
    """The only folder in which sockets are used; ``None`` takes all."""
    mode: SerialMode = SerialMode.SERIAL
    tty: TtySettings | None = None
    """The host's own serial port; then the guests' sockets are left to other instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """The router: how the VM of a request is reached."""

    kind: str
    """The word of the configuration: ``libvirt``, ``cpg``, ..."""
    where: Where | None = field(default=None, compare=False)
    """Where it was chosen; ``None`` if nobody chose, and the daemon may look around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtSettings(BackendSettings):
    """VMs of this host, or of the hosts that the URIs name."""

    kind: str = "libvirt"
    uris: tuple[str, ...] = (DEFAULT_URI,)
    death_proof: DeathProof = DeathProof.FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings(BackendSettings):
    """``cpg`` and ``checkpoint``: hosts that form a corosync cluster."""

    uris: tuple[str, ...] = (DEFAULT_URI,)
    name_mode: NameMode = NameMode.NAME
    """Accepted, and without a meaning: VMs are known by name and by UUID, always."""
    death_proof: DeathProof = DeathProof.FULL
    key_files: tuple[Path, ...] = ()
    """Empty: what corosync's own members have in common is enough."""
    keys: tuple[bytes, ...] = field(default=(), repr=False, compare=False)
    """What the files hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PmFenceSettings(BackendSettings):
    """``pm-fence``: VMs that are resources of a Pacemaker cluster of hosts."""

    kind: str = "pm-fence"
    pmlib_loglevel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NullSettings(BackendSettings):
    """``null``: every action fails; the C program's example of a backend."""

    kind: str = "null"
    message: str = "Hi!"


@dataclass(frozen=True, slots=True)
class Group:
    """Machines that may fence each other.  One without members matches nobody."""

    name: str
    uuids: tuple[str, ...]
    """UUIDs or names of VMs, as written."""
    ips: tuple[str, ...]
    """Sources: IP addresses, networks (``192.0.2.0/24``), or vsock CIDs in decimal, as written."""
    where: Where = field(compare=False)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that is fit to run; another ``load()`` makes another one."""

    daemon: DaemonSettings
    listeners: tuple[ListenerSettings, ...]
    backend: BackendSettings
    groups: tuple[Group, ...] | None = None
    """``None``: there is no ``groups`` section, and so no check of who may fence whom.  ``()`` denies everybody."""
    hosts: tuple[str, ...] = ()
    """The ids of all hosts, if the administrator lists them; else empty."""
    host_agents: tuple[HostAgentSettings, ...] = ()
    """The fence agents of those that have one."""
    file: Path | None = None
    """The file that was read; ``None`` for the defaults."""
    candidates: tuple[BackendSettings, ...] = field(default=(), compare=False)
    """Backends that have a section though none was chosen: what discovery may choose."""
    warnings: tuple[Problem, ...] = ()
