"""Builds the daemon's parts from its configuration: the one place where classes are chosen and given what they need."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import Presence
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_host.all_devices import all_devices
from fencebus_host.complaints import Complaints
from fencebus_host.config.model import (
    DEFAULT_URI,
    REQUEST_TIMEOUT,
    BackendSettings,
    Config,
    DeathProof,
    Digest,
    KeyedSettings,
    LibvirtSettings,
    ListenerSettings,
    MulticastSettings,
    SerialSettings,
    TcpSettings,
    VsockSettings,
)
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.door import Door
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.listeners.multicast import MulticastListener
from fencebus_host.listeners.refusal import Refusals
from fencebus_host.listeners.serial import SerialListener
from fencebus_host.listeners.session import Handshake
from fencebus_host.listeners.stream import Reception, StreamListener
from fencebus_host.listeners.tcp import TcpWire
from fencebus_host.listeners.tty import TtyListener
from fencebus_host.listeners.vsock import VsockWire
from fencebus_host.locality import GuestLocator
from fencebus_host.neighbours import OwnAddresses, mac_addresses_of
from fencebus_host.policy import Policy
from fencebus_host.ports import Listener, Router
from fencebus_host.records import Memory, Records
from fencebus_host.replay import SeenRequests
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.table import Ground, build
from fencebus_host.service import FenceService
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.digest import HASH_NAMES
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord

LIVES_HERE_SECONDS = 2.0


def this_incarnation(proc: Path = Path("/proc"), etc: Path = Path("/etc")) -> Incarnation:
    """This start of this host's daemon."""
    boot = (proc / "sys/kernel/random/boot_id").read_text("ascii").strip()
    machine = etc / "machine-id"
    return Incarnation(boot, machine.read_text("ascii").strip() if machine.exists() else "", secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Core:
    """What stands behind the listeners."""

    hypervisors: Sequence[LibvirtHypervisor]
    records: Records
    local: LocalRouter
    """This host's own hypervisors, where guests and their lines are found, whatever the router is."""
    router: Router
    fencing: Fencing
    service: FenceService
    only_looks: bool = False
    """Whether no router acts on this host's hypervisors."""

    async def lives_here(self, target: str) -> bool:
        """True if the VM of this name or UUID has a life on this host; a hypervisor that is silent has none to show."""
        found = await self.local.find(target, Deadline.after(LIVES_HERE_SECONDS))
        return any(record.state.is_claim for record in found.records)

    def presence(self, target: str) -> Presence:
        """How much of the VM with this name or UUID seems to be on this host: a hint."""
        found = (one.presence(target) for one in self.hypervisors)
        return max(found, key=lambda presence: presence.value, default=Presence.ABSENT)

    async def devices(self) -> Sequence[GuestDevices]:
        """The serial lines, channels and vsock addresses of all guests of this host; HypervisorError if nobody says."""
        return await all_devices(self.hypervisors)

    def hypervisors_at(self, uri: str | None) -> Sequence[LibvirtHypervisor]:
        """The one whose guests a serial listener is to serve; all of them if none is named, or none has the name."""
        return [hypervisor for hypervisor in self.hypervisors if hypervisor.name == uri] or self.hypervisors

    async def only_vm(self, target: str) -> VmRecord | None:
        """The one VM of this name or UUID, if there is exactly one."""
        found = await self.local.find(target, Deadline.after(LIVES_HERE_SECONDS))
        uuids = {record.uuid for record in found.records}
        return found.records[0] if len(uuids) == 1 else None

    def guests(self) -> Sequence[tuple[str, Uuid]]:
        """(MAC, VM) of every network interface of every VM of this host."""
        return [pair for hypervisor in self.hypervisors for pair in hypervisor.neighbours()]


def build_core(config: Config) -> Core:
    """The hypervisors, the router to them, and the service; needs the running event loop.

    Raises ConfigError for a backend that this daemon cannot run.
    """
    host, incarnation = HostId(config.daemon.host_name), this_incarnation()
    hypervisors = _hypervisors(config.backend, host, incarnation)
    records = Records(config.daemon.state_dir, {one.name: _memory_of(one) for one in hypervisors})
    local = LocalRouter(hypervisors)
    router = build(config.backend, Ground(host, incarnation, config.daemon.state_dir, local))
    fencing = Fencing(router, Ledger(), records)

    def label_of(vm: Uuid) -> str | None:
        return next((label for one in hypervisors if (label := one.cluster_of(vm))), None)

    service = FenceService(router, Policy(config.groups), fencing, records, label_of=label_of)
    only_looks = not any(isinstance(part, LibvirtSettings) for part in parts_of(config.backend))
    return Core(hypervisors, records, local, router, fencing, service, only_looks)


def _memory_of(hypervisor: LibvirtHypervisor) -> Memory:
    return lambda: hypervisor.remembered


def _hypervisors(backend: BackendSettings, host: HostId, incarnation: Incarnation) -> list[LibvirtHypervisor]:
    """This host's hypervisors.

    Where only a manager's word counts, behind whose back nothing may be killed, listeners look at what libvirt there
    is, read-only (design 8).
    """
    settings = next((part for part in parts_of(backend) if isinstance(part, LibvirtSettings)), None)
    if settings is None:
        return [LibvirtHypervisor(DEFAULT_URI, host, incarnation, read_only=True)] if libvirt_is_here() else []
    return [
        LibvirtHypervisor(uri, host, incarnation, check_disks=settings.death_proof is DeathProof.FULL)
        for uri in dict.fromkeys(settings.uris)
    ]


def libvirt_is_here(run: Path = Path("/run/libvirt")) -> bool:
    """Whether this host has a libvirt for QEMU that anybody may look at."""
    return any((run / name).exists() for name in ("libvirt-sock-ro", "virtqemud-sock-ro"))


class ListenerFactory:
    """Builds listeners; what they share (replays seen, challenges out, refusals told) outlives a reload."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._refusals = Refusals(Complaints())
        self._locator = GuestLocator(OwnAddresses(), mac_addresses_of, core.guests)
        self._seen = SeenRequests(REQUEST_TIMEOUT)
        self._issued: set[bytes] = set()

    def build(self, settings: ListenerSettings) -> Listener | None:
        """The listener; ``None`` for a kind that this daemon does not have."""
        if isinstance(settings, TcpSettings):
            return StreamListener(settings.name, TcpWire(settings, self._locator), self._reception(settings))
        if isinstance(settings, VsockSettings):
            return StreamListener(settings.name, VsockWire(settings, self._core.devices), self._reception(settings))
        if isinstance(settings, MulticastSettings):
            return MulticastListener(
                settings, self._reception(settings), self._locator, self._seen.answered, self._core
            )
        if isinstance(settings, SerialSettings) and settings.tty is not None:
            return TtyListener(settings, settings.tty, self._core.only_vm, self._refusals)
        if isinstance(settings, SerialSettings):
            return SerialListener(settings, self._core.hypervisors_at(settings.uri), self._refusals)
        return None

    def renew(self, listener: Listener, settings: ListenerSettings) -> None:
        """Have a listener that runs believe the keys, hashes and patience of ``settings`` from its next request on."""
        if isinstance(listener, (StreamListener, MulticastListener)) and isinstance(settings, KeyedSettings):
            listener.renew(self._reception(settings))

    def take_up(self, signatures: Iterable[bytes]) -> None:
        """Requests that an earlier run of the daemon saw."""
        self._seen.take_up(signatures)

    def _reception(self, settings: KeyedSettings) -> Reception:
        # One memory for all listeners: what was recorded at one must not be played to another.
        self._seen.limit(settings.request_timeout)
        door = Door(settings.keys, _number(settings.hash), self._seen, self._core.records.keep_signature)
        # And one set of challenges: one that a listener has put must not be answered by another (reflection).
        handshake = Handshake(_number(settings.auth), self._issued)
        return Reception(door, handshake, self._refusals, settings.request_timeout)


def _number(digest: Digest) -> int:
    return HASH_NAMES.index(digest.value)
