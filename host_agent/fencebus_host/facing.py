"""Builds what QMF consoles see of a daemon, where a bus joins the hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fencebus_agent.libvirt_driver import LibvirtCourtesies, LibvirtDescriber
from fencebus_agent.qmf_epoch import next_epoch
from fencebus_host.assembly import Core
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import Config
from fencebus_host.config.ordered_settings import parts_of
from fencebus_schemas.model import HostId

if TYPE_CHECKING:
    from fencebus_host.qmf_face import QmfFace


def build_face(config: Config, core: Core) -> QmfFace | None:
    """The face, with a new number for this run on the disk; ``None`` where there is no bus.  Blocks for that write."""
    settings = next((part for part in parts_of(config.backend) if isinstance(part, QmfSettings)), None)
    bus, federated, keeper = core.bus, core.federated, core.keeper
    if settings is None or bus is None or federated is None or keeper is None:
        return None
    # All of QMF; a daemon without a bus starts the sooner without it.
    from fencebus_host.qmf_face import FaceTerms, QmfFace, Site

    terms = FaceTerms(
        HostId(config.daemon.host_name),
        next_epoch(config.daemon.state_dir),
        settings.kind,
        settings.domain,
        frozenset(settings.trusted_users),
        patience=config.daemon.request_timeout,
    )
    courtesies = [LibvirtCourtesies(one) for one in core.hypervisors]
    # A console's call goes the way of every request; the VMs are this host's, their owner any.
    describers = [LibvirtDescriber(one) for one in core.hypervisors]
    site = Site(core.hypervisors, courtesies, core.service.handle, core.router.find, federated.ownership, describers)
    face = QmfFace(terms, bus, site)
    keeper.watch(face.kept)
    core.service.join(face)
    return face
