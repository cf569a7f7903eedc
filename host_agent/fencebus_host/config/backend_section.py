"""Decides the router's settings, from `backend` and the section `backends`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from fencebus_host.config import bus_keys, fence_agent_keys, ovirt_keys
from fencebus_host.config import key_table as keys
from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.bus_section import bus, with_bus_keys
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.cluster_section import with_cluster_keys
from fencebus_host.config.fence_agent_section import fence_agent, with_options
from fencebus_host.config.fence_agent_settings import FenceAgentSettings
from fencebus_host.config.key import Section
from fencebus_host.config.model import (
    DEFAULT_URI,
    BackendSettings,
    ClusterSettings,
    LibvirtSettings,
    ListenerSettings,
    NameMode,
    NullSettings,
    PmFenceSettings,
)
from fencebus_host.config.ordered_settings import OrderedSettings
from fencebus_host.config.ovirt_section import ovirt, with_credentials
from fencebus_host.config.problems import Problems, Where, did_you_mean
from fencebus_host.config.section import Reading, children, last_section, unknown
from fencebus_host.config.tree import Item

Build = Callable[[Reading, Where | None], BackendSettings]
ALIASES = {"local": "libvirt"}
BUSES = ("qmf", "libvirt-qmf", "libvirt-qpid")
FEDERATED = (*BUSES, "cpg", "checkpoint")
"""Hosts that fence together, each with the libvirt that the section `libvirt` describes."""
MANAGERS = ("ovirt", "rhevm", "fence_agent", *BUSES)
"""What discovery takes by the mere presence of a section: a mistake in one is never only a warning then (S10)."""


def backend(
    asked: str | None,
    where: Where | None,
    section: Item | None,
    name_mode: NameMode | None,
    problems: Problems,
) -> BackendSettings:
    """The settings of the backend ``asked`` for, or of several with commas between them; libvirt's if nobody asked.

    ``name_mode`` is the daemon's own, the old place of this key; it counts if the backend does not say otherwise.
    Files that the settings name are not read yet.
    """
    items = children(section, problems)
    builders = _builders(items, name_mode, problems)
    unknown(items, builders, "unknown-backend", problems)
    chosen = _words(asked, where, builders, problems)
    for name in builders:
        if name not in chosen:
            unused = Problems()
            _build(items, name, builders[name], None, unused)
            if (asked is None and name in MANAGERS) or (name == "libvirt" and not set(FEDERATED).isdisjoint(chosen)):
                problems.take(unused)
            else:
                problems.take_as_warnings(unused)  # C never looks into the section of a backend that does not run
    found = tuple(_build(items, name, builders[name], where, problems) for name in chosen)
    return found[0] if len(found) == 1 else OrderedSettings(kind=", ".join(chosen), where=where, parts=found)


def candidates(section: Item | None, name_mode: NameMode | None) -> tuple[BackendSettings, ...]:
    """The settings of every backend that has a section, for discovery; what is wrong there ``backend`` has told."""
    quiet = Problems()
    items = children(section, quiet)
    builders = _builders(items, name_mode, quiet)
    written = [name for name in builders if any(item.called(name) for item in items)]
    return tuple(_build(items, name, builders[name], None, quiet) for name in written)


def opened(settings: BackendSettings, listeners: tuple[ListenerSettings, ...], problems: Problems) -> BackendSettings:
    """The settings with what stands in the files that they name: credentials, options."""
    if isinstance(settings, OrderedSettings):
        return replace(settings, parts=tuple(opened(part, listeners, problems) for part in settings.parts))
    if isinstance(settings, QmfSettings):
        return with_bus_keys(settings, listeners, problems)
    if isinstance(settings, ClusterSettings):
        return with_cluster_keys(settings, problems)
    if isinstance(settings, OvirtSettings):
        return with_credentials(settings, problems)
    return with_options(settings, listeners, problems) if isinstance(settings, FenceAgentSettings) else settings


def _words(asked: str | None, where: Where | None, known: Iterable[str], problems: Problems) -> tuple[str, ...]:
    """The backends that are asked for, in their order, each once."""
    found: list[str] = []
    for word in (word.strip() for word in ("libvirt" if asked is None else asked).split(",")):
        name = ALIASES.get(word, word)
        place = where or Where("")
        if name not in known:
            problems.error(place, "unknown-backend", f"there is no backend `{word}`", did_you_mean(word, known))
        elif name in found:
            problems.error(place, "repeated-backend", f"the backend `{word}` is there twice")
        else:
            found.append(name)
    together = [name for name in found if name in (*FEDERATED, "libvirt")]
    if len(together) > 1:
        text = f"{' and '.join(f'`{name}`' for name in together)} would both act on this host's libvirt"
        problems.error(
            where or Where(""), "twice-here", text, f"`{together[0]}` alone reaches the VMs of this host too"
        )
    return tuple(found) or ("libvirt",)


def _build(
    items: tuple[Item, ...], name: str, builder: tuple[Section, Build], where: Where | None, problems: Problems
) -> BackendSettings:
    table, build = builder
    return build(Reading(last_section(items, name, problems), table, problems), where)


def _builders(
    items: tuple[Item, ...], name_mode: NameMode | None, problems: Problems
) -> dict[str, tuple[Section, Build]]:
    own = _own_libvirt(items)
    return {
        "libvirt": (keys.LIBVIRT, _libvirt),
        "cpg": (keys.CPG, partial(_cluster, "cpg", name_mode, (), own)),
        # C's checkpoint took the URI from the libvirt section too (facts 3.6).
        "checkpoint": (keys.CHECKPOINT, partial(_cluster, "checkpoint", name_mode, own.uris, own)),
        "qmf": (bus_keys.QMF, partial(bus, "qmf", None, own)),
        "libvirt-qmf": (bus_keys.LIBVIRT_QMF, partial(bus, "libvirt-qmf", 5672, own)),
        "libvirt-qpid": (bus_keys.LIBVIRT_QPID, partial(bus, "libvirt-qpid", 49000, own)),
        "pm-fence": (keys.PM_FENCE, _pm_fence),
        "null": (keys.NULL, _null),
        "ovirt": (ovirt_keys.OVIRT, partial(ovirt, "ovirt")),
        "rhevm": (ovirt_keys.RHEVM, partial(ovirt, "rhevm")),
        "fence_agent": (fence_agent_keys.FENCE_AGENT, fence_agent),
    }


def _own_libvirt(items: tuple[Item, ...]) -> LibvirtSettings:
    """What the section `libvirt` says, for backends of hosts that each have one; what is wrong there is told once."""
    quiet = Problems()
    return _libvirt(Reading(last_section(items, "libvirt", quiet), keys.LIBVIRT, quiet), None)


def _uris(reading: Reading) -> tuple[str, ...]:
    return tuple(uri for uri in reading.numbered(keys.URI) if uri is not None)


def _libvirt(reading: Reading, where: Where | None) -> LibvirtSettings:
    uris = _uris(reading) or (DEFAULT_URI,)
    return LibvirtSettings(where=where, uris=uris, death_proof=reading.get(keys.DEATH_PROOF))


def _cluster(
    kind: str,
    old_mode: NameMode | None,
    more: tuple[str, ...],
    own: LibvirtSettings,
    reading: Reading,
    where: Where | None,
) -> ClusterSettings:
    mode = reading.get(keys.NAME_MODE) or old_mode or NameMode.NAME
    return ClusterSettings(
        kind=kind,
        where=where,
        uris=_uris(reading) or more or (DEFAULT_URI,),
        name_mode=mode,
        death_proof=own.death_proof,
        key_files=reading.get(keys.CLUSTER_KEY_FILE),
    )


def _pm_fence(reading: Reading, where: Where | None) -> PmFenceSettings:
    return PmFenceSettings(where=where, pmlib_loglevel=reading.get(keys.PMLIB_LOGLEVEL))


def _null(reading: Reading, where: Where | None) -> NullSettings:
    return NullSettings(where=where, message=reading.get(keys.MESSAGE))
