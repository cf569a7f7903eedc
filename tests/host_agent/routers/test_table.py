"""What stands behind each backend of the configuration, and what listeners look at where nobody may kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host import assembly
from fencebus_host.assembly import build_core, libvirt_is_here
from fencebus_host.config.key_table import BACKEND_SECTIONS
from fencebus_host.config.load import load_text
from fencebus_host.config.model import NullSettings
from fencebus_host.config.problems import ConfigError
from fencebus_host.routers.fence_agent.router import FenceAgentRouter
from fencebus_host.routers.ground import Ground
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.ordered import OrderedRouter
from fencebus_host.routers.table import TABLE, build
from fencebus_host.verdict import Evidence
from fencebus_schemas.deadline import Deadline
from tests.components import require_module
from tests.host_agent.evidence import HERE, INCARNATION
from tests.host_agent.routers.fence_agent.agents import WrittenAgent


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(HERE, INCARNATION, tmp_path, LocalRouter([]))


def conf(folder: Path, backend: str, managers: str = "") -> str:
    agent = WrittenAgent(folder / "agents")
    inside = f'agent = "{agent.name}"; agent_dir = "{agent.folder}"; user = "root"; {managers}'
    return (
        f'fence_virtd {{ listener = "serial"; backend = "{backend}"; state_dir = "{folder}"; }}\n'
        f'backends {{ fence_agent {{ {inside} }} libvirt {{ uri = "test:///default"; }} }}'
    )


def test_every_word_of_the_table_is_one_of_the_configuration() -> None:
    assert set(TABLE) <= {section.name for section in BACKEND_SECTIONS}


def test_several_agents_stand_in_the_order_of_the_file(tmp_path: Path, ground: Ground) -> None:
    one = load_text(conf(tmp_path, "fence_agent"), "f").backend
    assert isinstance(build(one, ground), FenceAgentRouter)
    several = load_text(conf(tmp_path, "fence_agent", 'manager = "a" { } manager = "b" { }'), "f").backend
    router = build(several, ground)
    assert isinstance(router, OrderedRouter)
    assert router.name == "fence_agent:a, fence_agent:b"
    assert router.trouble == "not asked yet; not asked yet"


def test_the_local_router_is_the_one_that_listeners_look_at(tmp_path: Path, ground: Ground) -> None:
    router = build(load_text(conf(tmp_path, "libvirt"), "f").backend, ground)
    assert router is ground.local


def test_a_backend_that_is_not_in_this_version_is_a_mistake(ground: Ground) -> None:
    with pytest.raises(ConfigError, match="'null' is not in this version"):
        build(NullSettings(), ground)


async def test_a_local_router_without_hypervisors_knows_nobody(ground: Ground) -> None:
    assert await ground.local.find("vm", Deadline.after(30)) == Evidence(())
    assert await ground.local.list(Deadline.after(30)) == ()


@pytest.mark.parametrize(
    ("sockets", "here"),
    (((), False), (("libvirt-sock",), False), (("libvirt-sock-ro",), True), (("virtqemud-sock-ro",), True)),
)
def test_a_libvirt_that_anybody_may_look_at_is_seen(tmp_path: Path, sockets: tuple[str, ...], here: bool) -> None:
    for name in sockets:
        (tmp_path / name).touch()
    assert libvirt_is_here(tmp_path) == here


@pytest.mark.parametrize("libvirt", (True, False))
async def test_where_only_an_agent_acts_this_hosts_libvirt_is_looked_at_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libvirt: bool
) -> None:
    require_module("libvirt", extra="host")
    monkeypatch.setattr(assembly, "libvirt_is_here", lambda: libvirt)
    core = build_core(load_text(conf(tmp_path, "fence_agent"), "f"))
    assert core.only_looks
    assert [one.name for one in core.hypervisors] == ["qemu:///system"] * libvirt
    assert [one._read_only for one in core.hypervisors] == [True] * libvirt
    assert core.presence("vm").value == 0
    for hypervisor in core.hypervisors:
        await hypervisor.close()
    await core.records.close()


async def test_in_an_order_with_this_host_its_libvirt_is_opened_to_act(tmp_path: Path) -> None:
    require_module("libvirt", extra="host")
    core = build_core(load_text(conf(tmp_path, "fence_agent, local"), "f"))
    assert not core.only_looks
    assert [(one.name, one._read_only) for one in core.hypervisors] == [("test:///default", False)]
    for hypervisor in core.hypervisors:
        await hypervisor.close()
    await core.records.close()
