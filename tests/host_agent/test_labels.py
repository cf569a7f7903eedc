"""Guest clusters by libvirt metadata: VMs with one label may act on each other, nobody else may on a labelled one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fencebus_agent.libvirt_driver import LibvirtHypervisor
from fencebus_agent.libvirt_driver.reading import read_facts
from fencebus_agent.memory_driver import MemoryHypervisor, MemoryVm
from fencebus_host.config.model import Group
from fencebus_host.config.problems import Where
from fencebus_host.fencing import Fencing
from fencebus_host.ledger import Ledger
from fencebus_host.policy import Labels, Policy, spellings
from fencebus_host.ports import Answer
from fencebus_host.records import Records
from fencebus_host.routers.local import LocalRouter
from fencebus_host.service import FenceService
from fencebus_schemas.deadline import Deadline, boottime
from fencebus_schemas.model import Action, FenceRequest, HostId, Incarnation, Reason, RequestId, Source, Uuid
from tests.components import require_program
from tests.libvirtd import Libvirtd

HOST, INCARNATION = HostId("host1"), Incarnation("boot", "machine", "nonce")
ALPHA1, ALPHA2, BETA1, PLAIN = (Uuid(f"00000000-0000-0000-0000-00000000000{n}") for n in range(1, 5))
VMS = (
    MemoryVm(ALPHA1, "alpha1", cluster="alpha"),
    MemoryVm(ALPHA2, "alpha2", cluster="alpha"),
    MemoryVm(BETA1, "beta1", cluster="beta"),
    MemoryVm(PLAIN, "plain"),
)
XML = (
    "<domain type='test'><name>n</name><uuid>{uuid}</uuid><metadata>"
    "<fencebus:cluster xmlns:fencebus='urn:fencebus:domain:1'>{label}</fencebus:cluster></metadata></domain>"
)


def asked(source: Source, action: Action, target: str) -> FenceRequest:
    now = boottime()
    return FenceRequest(RequestId("r"), action, target, source, "test", Deadline.after(30), now, seqno=1)


def guest(vm: Uuid) -> Source:
    return Source(vm, vm, known=True)


async def ask(tmp_path: Path, request: FenceRequest, groups: tuple[Group, ...] | None = None) -> Answer:
    hypervisor = MemoryHypervisor(HOST, INCARNATION, VMS)
    records = Records(tmp_path, {})
    await records.open()
    router = LocalRouter([hypervisor])
    fencing = Fencing(router, Ledger(), records)
    service = FenceService(router, Policy(groups), fencing, records, label_of=hypervisor.cluster_of)
    try:
        return await service.handle(request, lambda: True)
    finally:
        await records.close()


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    (
        (guest(ALPHA1), "alpha2", Reason.PROVEN_OFF),
        (guest(ALPHA1), "beta1", Reason.DENIED),
        (guest(ALPHA1), "plain", Reason.DENIED),
        (guest(PLAIN), "alpha1", Reason.DENIED),
        (guest(PLAIN), "plain", Reason.PROVEN_OFF),
        (Source("10.0.0.9"), "alpha1", Reason.DENIED),
        (Source("10.0.0.9"), "plain", Reason.PROVEN_OFF),
        # An address behind which this host sees its own guest asks with that guest's label.
        (Source("10.0.0.1", ALPHA1), "alpha2", Reason.PROVEN_OFF),
    ),
)
async def test_a_label_opens_its_own_cluster_and_closes_it_to_others(
    tmp_path: Path, source: Source, target: str, reason: Reason
) -> None:
    answer = await ask(tmp_path, asked(source, Action.OFF, target))
    assert answer.outcome.reason is reason


async def test_a_list_shows_a_labelled_guest_its_own_cluster_alone(tmp_path: Path) -> None:
    answer = await ask(tmp_path, asked(guest(ALPHA1), Action.LIST, ""))
    assert [vm.name for vm in answer.vms] == ["alpha1", "alpha2"]


async def test_a_group_of_the_configuration_may_open_a_labelled_vm_to_others(tmp_path: Path) -> None:
    group = Group("admins", uuids=("alpha1",), ips=("10.0.0.9",), where=Where("conf"))
    answer = await ask(tmp_path, asked(Source("10.0.0.9"), Action.OFF, "alpha1"), (group,))
    assert answer.outcome.reason is Reason.PROVEN_OFF


def test_an_empty_configuration_of_groups_opens_nothing_but_the_same_label() -> None:
    policy = Policy(())
    assert policy.permits(guest(ALPHA1), spellings(ALPHA1), spellings(ALPHA2), Labels("alpha", "alpha"))
    assert not policy.permits(guest(ALPHA1), spellings(ALPHA1), spellings(PLAIN))


def test_a_label_is_read_from_the_metadata_and_blanks_are_none() -> None:
    assert read_facts(XML.format(uuid=ALPHA1, label=" alpha ")).cluster == "alpha"
    assert read_facts(XML.format(uuid=ALPHA1, label=" ")).cluster is None


async def test_virsh_metadata_on_a_running_vm_labels_it_at_once(libvirtd: Libvirtd) -> None:
    virsh = require_program("virsh", package="libvirt-clients")
    vm = libvirtd.run("labelled")
    hypervisor = LibvirtHypervisor(libvirtd.uri, HOST, INCARNATION)
    running = asyncio.create_task(hypervisor.run())
    try:
        await hypervisor.wait_ready(Deadline.after(30))
        assert hypervisor.cluster_of(Uuid(vm)) is None
        metadata = ["--uri", "urn:fencebus:domain:1", "--key", "fencebus", "--set", "<cluster>alpha</cluster>"]
        command: list[str | Path] = [virsh, "-c", libvirtd.uri, "metadata", "labelled", *metadata, "--live", "--config"]
        assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
        for _ in range(1500):
            if hypervisor.cluster_of(Uuid(vm)):
                break
            await asyncio.sleep(0.02)
        found = await hypervisor.find("labelled", Deadline.after(30))
        assert found is not None
        assert found.cluster == "alpha"
    finally:
        running.cancel()
        await hypervisor.close()
        libvirtd.discard(vm)
