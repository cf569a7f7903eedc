"""Guest clusters among hosts: what a VM is labelled with now counts, and what its own host says of it (S6)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import libvirt
import pytest

from fencebus_agent.libvirt_driver.reading import LABEL_NAMESPACE
from fencebus_agent.memory_broker import MemoryBroker
from fencebus_agent.memory_bus import MemoryBus
from fencebus_host.ownership import Ownership
from fencebus_host.policy import Policy
from fencebus_host.routers.federated import FederatedRouter
from fencebus_host.routers.federated.build import Membership, build, may_order
from fencebus_schemas.model import HostId, Uuid, VmRecord, VmState
from fencebus_schemas.peer import Inventory
from tests.host_agent.federated_site import Disk
from tests.host_agent.federation.words import ME, MINE, SOURCE, THEIRS, VM, fence, quote
from tests.hypervisors import HOST, INCARNATION, driver_world, eventually

KEY = b"the hosts' own key"


@contextlib.asynccontextmanager
async def alone_on_the_test_driver(folder: Path) -> AsyncIterator[tuple[FederatedRouter, libvirt.virDomain]]:
    """A host among others over libvirt's test driver, with one VM."""
    async with driver_world(folder, marks=True) as world:
        vm = await world.add("vm")
        membership = Membership(HOST, INCARNATION, (KEY,))
        bus = MemoryBus(MemoryBroker(), HOST)
        router = build(membership, world.hypervisor, bus, Disk(), lambda: Policy(None))
        running = asyncio.create_task(router._driving._take_stock())
        router._driving._hypervisor.subscribe(router._driving._heard)
        try:
            await eventually(partial(is_labelled, router.ownership, vm, None), 30.0)
            yield router, world.admin.lookupByUUIDString(vm)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def is_labelled(ownership: Ownership, vm: Uuid, label: str | None) -> bool:
    return [record.cluster for record in ownership.known(vm)] == [label]


def relabel(domain: libvirt.virDomain, label: str | None) -> None:
    element = f"<cluster>{label}</cluster>" if label else None
    kind, live = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(kind, element, "fencebus", LABEL_NAMESPACE, live)


async def test_a_label_that_changes_is_known_to_the_federation_before_the_inventory_is_read_again(
    tmp_path: Path,
) -> None:
    async with alone_on_the_test_driver(tmp_path) as (router, domain):
        vm = Uuid(domain.UUIDString())
        for label in ("alpha", "beta", None, "alpha"):
            await asyncio.to_thread(relabel, domain, label)
            await eventually(partial(is_labelled, router.ownership, vm, label), 20.0)


def known_by(**labels: str | None) -> Ownership:
    """What a host knows whose VM others have defined too: the label there, by the host."""
    ownership = Ownership(ME, MINE)
    record = VmRecord(VM, "vm", VmState.OFF, ME, MINE)
    ownership.own_inventory([replace(record, state=VmState.RUNNING, cluster=labels.pop("me"))], 1.0)
    for name, label in labels.items():
        host = HostId(name)
        there = replace(record, host=host, incarnation=THEIRS, cluster=label)
        ownership.inventory_heard(Inventory(host, THEIRS, ME, 1, "", (there,), (ME, host), ()), 1.0)
    return ownership


@pytest.mark.parametrize(
    ("mine", "elsewhere", "source", "permitted"),
    (
        ("blue", "red", "red", False),
        ("blue", "red", "blue", True),
        ("blue", None, "blue", True),
        ("blue", None, None, False),
        (None, "red", "red", False),
        (None, "red", None, True),
        (None, None, None, True),
    ),
)
def test_s6_the_owner_goes_by_its_own_label_whatever_a_definition_elsewhere_says(
    mine: str | None, elsewhere: str | None, source: str | None, permitted: bool
) -> None:
    order = replace(fence(quote("token"), source=SOURCE), source_cluster=source)
    assert may_order(Policy(None), order, known_by(me=mine, another=elsewhere)) is permitted


def test_s6_of_a_vm_that_the_owner_does_not_know_every_label_that_was_told_counts() -> None:
    ownership = Ownership(ME, MINE)
    for name, label in (("another", "red"), ("third", "blue")):
        host = HostId(name)
        there = VmRecord(VM, "vm", VmState.OFF, host, THEIRS, cluster=label)
        ownership.inventory_heard(Inventory(host, THEIRS, ME, 1, "", (there,), (ME, host), ()), 1.0)
    for source in ("red", "blue", None):
        order = replace(fence(quote("token"), source=SOURCE), source_cluster=source)
        assert not may_order(Policy(None), order, ownership)
