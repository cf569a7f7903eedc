"""Builds the daemon's parts from its configuration: the one place where classes are chosen and given what they need."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fencebus_agent.bus import Bus
from fencebus_agent.guest_devices import GuestDevices
from fencebus_agent.hypervisor import Presence
from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_host.all_devices import all_devices
from fencebus_host.complaints import Complaints
from fencebus_host.config.backend_section import FEDERATED
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.kills_here import own_libvirt
from fencebus_host.config.model import (
    DEFAULT_URI,
    REQUEST_TIMEOUT,
    BackendSettings,
    ClusterSettings,
    Config,
    DeathProof,
    Digest,
    KeyedSettings,
    ListenerSettings,
    MulticastSettings,
    SerialSettings,
    TcpSettings,
    VsockSettings,
)
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.control_events import Events
from fencebus_host.control_pause import Pause
from fencebus_host.control_requests import Requests
from fencebus_host.door import Door
from fencebus_host.dry_run import DryRun
from fencebus_host.fencing import Fencing
from fencebus_host.histories import Histories
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
from fencebus_host.ownership import Ownership
from fencebus_host.picture import Picture
from fencebus_host.policy import Policy
from fencebus_host.ports import Listener, Router
from fencebus_host.proofs.build import build_panel
from fencebus_host.records import Memory, Records
from fencebus_host.replay import SeenRequests
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.bus_carrier import BusCarrier
from fencebus_host.routers.federated.carrier import Keyed
from fencebus_host.routers.ground import Ground, Recollection
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.ordered import OrderedRouter
from fencebus_host.routers.table import build
from fencebus_host.service import FenceService, History, open_gate
from fencebus_host.this_machine import this_incarnation
from fencebus_host.watched_keeper import WatchedKeeper
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.digest import HASH_NAMES
from fencebus_schemas.model import FenceRequest, HostId, Incarnation, Uuid, VmRecord
from fencebus_schemas.peer import Outcome

LIVES_HERE_SECONDS = 2.0


@dataclass(slots=True)
class PolicyInForce:
    """Who may fence whom now; a reload changes it."""

    policy: Policy


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
    host: HostId
    incarnation: Incarnation
    events: Events
    requests: Requests
    pause: Pause
    terms: PolicyInForce
    """Who may fence whom, for the service and for the orders of other hosts."""
    only_looks: bool = False
    """Whether no router acts on this host's hypervisors."""
    federated: FederatedRouter | None = None
    """The router among hosts that know each other, if one is configured; perhaps one of several in an order."""
    picture: Picture | None = None
    """What that router has on the disk."""
    keeper: WatchedKeeper | None = None
    """How it gets there; tells what is known of other hosts as it changes."""

    @property
    def bus(self) -> Bus | None:
        """The bus that joins the hosts; its router runs it, and others may speak on it meanwhile."""
        carrier = self.federated.carrier if self.federated else None
        return carrier.bus if isinstance(carrier, BusCarrier) else None

    def renew(self, config: Config) -> None:
        """Put the groups and the hosts' keys of ``config`` in force, for whatever comes from now on."""
        self.terms.policy = Policy(config.groups)
        self.service.reconfigure(self.terms.policy)
        carrier = self.federated.carrier if self.federated else None
        for part in parts_of(config.backend):
            if isinstance(carrier, Keyed) and isinstance(part, (QmfSettings, ClusterSettings)):
                carrier.renew(part.keys)

    async def close(self) -> None:
        """Let go of the hypervisors and the disk; nothing runs any more."""
        for hypervisor in self.hypervisors:
            await hypervisor.close()
        if self.picture is not None:
            await self.picture.close()
        await self.records.close()

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


async def recollect(config: Config) -> Recollection | None:
    """What the state folder remembers of other hosts; ``None`` where the router needs to know none.

    Raises RecordError: without it this host would take hosts that it knew for none, and their VMs for nobody's (S2).
    """
    if not any(part.kind in FEDERATED for part in parts_of(config.backend)):
        return None
    picture = Picture(config.daemon.state_dir)
    return Recollection(picture, await picture.open(), WatchedKeeper(picture))


def build_core(config: Config, recollection: Recollection | None = None, *, dry_run: bool = False) -> Core:
    """The hypervisors, the router to them, and the service; needs the running event loop.

    ``recollection`` is what ``recollect`` returned.  ``dry_run``: nothing is ever ended or started, by whichever way
    it is asked for; a reload does not change that.  Raises ConfigError for a backend that this daemon cannot run.
    """
    host, incarnation = HostId(config.daemon.host_name), this_incarnation()
    hypervisors = _hypervisors(config.backend, host, incarnation, dry_run)
    records = Records(config.daemon.state_dir, {one.name: _memory_of(one) for one in hypervisors}, host=host)
    local, terms = LocalRouter(hypervisors), PolicyInForce(Policy(config.groups))
    hosts = frozenset(map(HostId, config.hosts))
    ground = Ground(
        *(host, incarnation, config.daemon.state_dir, local, hypervisors, lambda: terms.policy, hosts, recollection),
        dry_run=dry_run,
    )
    router, federated = _routed(config, ground)
    fencing = Fencing(router, Ledger(), records, witness=records.saw)

    def label_of(vm: Uuid) -> str | None:
        return next((label for one in hypervisors if (label := one.cluster_of(vm))), None)

    # What a dry run has answered is no outcome that counts for the same request on another host (S7).
    history: History = Histories(records, federated) if federated and not dry_run else records
    events = Events(time.time)
    requests = Requests(events)
    pause = Pause(config.daemon.state_dir, dry_run=dry_run)
    recall = federated.recall if federated else _nothing
    service = FenceService(
        router,
        terms.policy,
        fencing,
        history,
        label_of=label_of,
        recall=recall,
        audience=requests,
        gate=open_gate if dry_run else pause.objection,
        witness=records.saw,
        drill=DryRun(federated) if dry_run else None,
    )
    return Core(
        hypervisors,
        records,
        local,
        router,
        fencing,
        service,
        host,
        incarnation,
        events,
        requests,
        pause,
        terms,
        only_looks=not any(map(own_libvirt, parts_of(config.backend))),
        federated=federated,
        picture=recollection.picture if recollection else None,
        keeper=recollection.keeper if recollection else None,
    )


def _routed(config: Config, ground: Ground) -> tuple[Router, FederatedRouter | None]:
    """The router, and the one among other hosts, if there is one; through it their deaths' witnesses know them."""
    known: list[Ownership] = []
    asks = ground.recollection is not None and not ground.dry_run  # a witness may be one that switches hosts off
    witnesses = build_panel(config, ground.incarnation.boot_id, lambda: known[0]) if asks else None
    router = build(config.backend, replace(ground, witnesses=witnesses))
    federated = _federated(router)
    known += [federated.ownership] if federated else []
    return router, federated


def _federated(router: Router) -> FederatedRouter | None:
    parts = router.routers if isinstance(router, OrderedRouter) else (router,)
    return next((part for part in parts if isinstance(part, FederatedRouter)), None)


def _nothing(_request: FenceRequest) -> Outcome | None:
    """A host that is alone has heard no other's answers."""
    return None


def _memory_of(hypervisor: LibvirtHypervisor) -> Memory:
    return lambda: hypervisor.remembered


def _hypervisors(
    backend: BackendSettings, host: HostId, incarnation: Incarnation, dry_run: bool
) -> list[LibvirtHypervisor]:
    """This host's hypervisors.

    Where only a manager's word counts, behind whose back nothing may be killed, listeners look at what libvirt there
    is, read-only (design 8).  So is what a dry run looks at, unless lives are to be marked for other hosts.
    """
    parts = parts_of(backend)
    settings = next((own for own in map(own_libvirt, parts) if own), None)
    if settings is None:
        return [LibvirtHypervisor(DEFAULT_URI, host, incarnation, read_only=True)] if libvirt_is_here() else []
    checked = settings.death_proof is DeathProof.FULL
    marks = any(part.kind in FEDERATED for part in parts)
    return [
        LibvirtHypervisor(
            *(uri, host, incarnation),
            check_disks=checked,
            read_only=dry_run and not marks,
            acts=not dry_run,
            marks=marks,
        )
        for uri in dict.fromkeys(settings.uris)
    ]


def libvirt_is_here(run: Path = Path("/run/libvirt")) -> bool:
    """Whether this host has a libvirt for QEMU that anybody may look at."""
    return any((run / name).exists() for name in ("libvirt-sock-ro", "virtqemud-sock-ro"))


class ListenerFactory:
    """Builds listeners; what they share (replays seen, challenges out, refusals told) outlives a reload."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.refusals = Refusals(Complaints())
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
            return TtyListener(settings, settings.tty, self._core.only_vm, self.refusals)
        if isinstance(settings, SerialSettings):
            return SerialListener(settings, self._core.hypervisors_at(settings.uri), self.refusals)
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
        return Reception(door, handshake, self.refusals, settings.request_timeout)


def _number(digest: Digest) -> int:
    return HASH_NAMES.index(digest.value)
