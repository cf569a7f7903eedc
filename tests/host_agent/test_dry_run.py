"""A daemon that runs with --dry-run: nothing is ended or started through any door, and it says what would have been."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_agent.libvirt_driver import LibvirtCourtesies
from fencebus_agent.memory_driver import MemoryVm
from fencebus_host.assembly import Core, build_core, recollect
from fencebus_host.config.load import load_text
from fencebus_host.control_pause import Pause
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.dry_run import DryRun
from fencebus_host.policy import Policy
from fencebus_host.ports import Answer
from fencebus_host.service import FenceService
from fencebus_schemas.model import Action, Reason, VmState
from fencebus_schemas.xvm import REPLY_FAILURE, REPLY_SUCCESS
from tests.components import require_module
from tests.daemon_process import DaemonProcess
from tests.host_agent.ctl.calls import Called, call
from tests.host_agent.evidence import OTHER, VM
from tests.host_agent.federated_site import described, site
from tests.host_agent.house import House, group, memory_hypervisor, opened
from tests.hypervisors import allow, driver_world, fresh_name, soon

Printed = pytest.CaptureFixture[str]
POWER_ACTIONS = (Action.OFF, Action.REBOOT, Action.ON)


def refused(answer: Answer) -> str:
    """What a dry run has answered."""
    outcome = answer.outcome
    assert (outcome.ok, outcome.reason) == (False, Reason.PAUSED)
    return outcome.text


# -- a real daemon ----------


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """On libvirt's test driver, ready."""
    folder = tmp_path_factory.mktemp("dry")
    with DaemonProcess(folder, daemon='host = "host1";', options=["--dry-run"]) as running:
        yield running.wait_ready()


def ctl(capsys: Printed, daemon: DaemonProcess, command: str, *options: str) -> Called:
    """What a command says at that daemon."""
    return call(capsys, command, "-f", daemon.config_file, *options)


@pytest.mark.parametrize("action", POWER_ACTIONS)
def test_a_guests_fence_fails_and_the_log_says_what_would_have_been_done_and_by_whom(
    daemon: DaemonProcess, action: Action
) -> None:
    assert daemon.ask(action, "node1").code == REPLY_FAILURE
    assert daemon.ask(Action.STATUS, "node1").code == REPLY_SUCCESS
    (line,) = daemon.says(f"verdict .*action={action.name.lower()} target='node1'")
    assert "ok=no reason=paused" in line
    assert "dry run, nothing was done: target: node1 is running on host1 test://" in line
    assert "policy: allowed" in line
    plan = "it is on already, on host1" if action is Action.ON else "it would be ended"
    assert f"plan: {plan}" in line
    assert action is Action.ON or " by host1" in line


def test_an_operators_fence_fails_too_and_a_reload_or_a_resume_ends_nothing(
    daemon: DaemonProcess, capsys: Printed
) -> None:
    for _ in range(2):
        called = ctl(capsys, daemon, "fence", "node2", "--yes")
        assert called.status == ExitCode.NOT_FENCED
        assert "dry run, nothing was done" in called.out
        before = len(daemon.log)
        daemon.process.send(signal.SIGHUP)
        daemon.wait_for_line("configuration reloaded", before)
        assert "runs with --dry-run" in ctl(capsys, daemon, "resume").err
    assert daemon.ask(Action.STATUS, "node2").code == REPLY_SUCCESS


def test_it_is_shouted_in_the_log_in_the_status_and_by_the_rehearsal(daemon: DaemonProcess, capsys: Printed) -> None:
    assert daemon.says("DRY RUN since .*nothing is carried out")
    assert daemon.says("fence_virtd ready: DRY RUN")
    shown = ctl(capsys, daemon, "status")
    assert shown.status == ExitCode.BROKEN
    assert "DRY RUN: nothing is carried out, and every power action fails" in shown.out
    found = json.loads(ctl(capsys, daemon, "doctor", "--format", "json").out)["findings"]
    (told,) = (one for one in found if one["code"] == "paused")
    assert (told["level"], told["fix"]) == ("ERROR", "restart it without --dry-run")
    assert told["text"].startswith("DRY RUN: ")
    assert "DRY RUN since" in ctl(capsys, daemon, "fence", "node1", "--dry-run").out


# -- one host ----------


def dry(house: House, policy: Policy | None = None) -> House:
    """The same house, which only says what it would do."""
    house.service = FenceService(house.router, policy or Policy(None), house.fencing, house.records, drill=DryRun())
    return house


async def test_nothing_is_a_success_not_even_what_is_so_already(tmp_path: Path) -> None:
    hypervisor = memory_hypervisor(MemoryVm(VM, "vm"), MemoryVm(OTHER, "other", VmState.OFF))
    async with opened(tmp_path, hypervisor) as opened_house:
        house = dry(opened_house)
        for action in POWER_ACTIONS:
            refused(await house.ask(action))
        assert "it is off: nothing would be ended" in refused(await house.ask(Action.OFF, OTHER))
        assert "it would be started" in refused(await house.ask(Action.ON, OTHER))
        assert (await house.ask(Action.OFF, "nobody")).outcome.reason is Reason.UNKNOWN_VM
        assert (house.router.ended, house.router.started) == ([], [])
        assert (await house.state(), await house.state(OTHER)) == (VmState.RUNNING, VmState.OFF)
        assert (await house.ask(Action.STATUS, OTHER)).outcome.reason is Reason.STATUS_OFF


async def test_whom_the_groups_refuse_is_refused_as_ever(tmp_path: Path) -> None:
    async with opened(tmp_path, memory_hypervisor()) as house:
        assert (await dry(house, Policy([group("nobody")])).ask(Action.OFF)).outcome.reason is Reason.DENIED


def test_its_pause_cannot_be_lifted(tmp_path: Path) -> None:
    pause = Pause(tmp_path, dry_run=True)
    pause.begin("", 1, "uid 0")
    pause.end()
    objection = pause.objection()
    assert objection is not None
    assert "without --dry-run" in objection.text
    assert Pause(tmp_path).current is None


# -- libvirt ----------


async def test_its_libvirt_neither_ends_nor_starts_nor_obeys_a_console(tmp_path: Path) -> None:
    async with driver_world(tmp_path, acts=False) as world:
        vm, dry = await world.add(fresh_name()), world.hypervisor
        courtesies = LibvirtCourtesies(dry)
        for act in (dry.power_off, dry.power_on):
            with pytest.raises(HypervisorError, match="opened to look only"):
                await act(vm, soon(), allow)
        for courtesy in (courtesies.shut_down, courtesies.suspend, courtesies.resume):
            with pytest.raises(HypervisorError, match="opened to look only"):
                await courtesy(vm, soon())
        assert vm in await courtesies.definition(vm, soon())
        found = await dry.find(vm, soon())
        assert found is not None
        assert found.state is VmState.RUNNING


@pytest.mark.parametrize(("backend", "read_only"), (("libvirt", True), ("qmf", False)))
async def test_libvirt_is_opened_to_look_only_save_where_lives_are_marked(
    tmp_path: Path, backend: str, read_only: bool
) -> None:
    require_module("libvirt", extra="host")
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_bytes(b"the hosts' own key, long enough for everybody")
    config = load_text(
        f'fence_virtd {{ backend = "{backend}"; listener = "serial"; host = "host1"; state_dir = "{tmp_path}"; }}\n'
        f'backends {{ libvirt {{ uri = "test:///default"; }}\n'
        f'qmf {{ url = "peers://host1@127.0.0.1:1,host2@127.0.0.1:2"; key_file = "{key}"; }} }}\n',
        "f",
    )
    core = build_core(config, await recollect(config), dry_run=True)
    assert [(one._read_only, one._acts) for one in core.hypervisors] == [(read_only, False)]
    assert core.pause.is_dry_run
    await closed(core)


async def closed(core: Core) -> None:
    """Let go of what never ran."""
    for hypervisor in core.hypervisors:
        await hypervisor.close()
    if core.picture is not None:
        await core.picture.close()
    await core.records.close()


# -- several hosts ----------


async def test_what_another_host_orders_is_refused_and_its_rehearsal_knows() -> None:
    vms = {"a": [described(1)], "b": [described(2), described(3, VmState.OFF)]}
    async with site(vms, dry={"b"}) as (_, hosts):
        for action in (Action.OFF, Action.REBOOT):
            text = refused(await asyncio.wait_for(hosts["a"].ask(action, "vm2", seconds=600), 60))
            assert "b: its daemon runs with --dry-run" in text
        assert "b: its daemon runs with --dry-run" in refused(await hosts["a"].ask(Action.ON, "vm3"))
        assert (await hosts["b"].state(2), await hosts["b"].state(3)) == (VmState.RUNNING, VmState.OFF)
        assert (await hosts["a"].ask(Action.OFF, "vm1")).outcome.ok, "its own VM needs nobody else"


async def test_it_orders_nothing_of_another_host_and_says_what_that_would_do() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}, dry={"b"}) as (_, hosts):
        for action in (Action.OFF, Action.REBOOT):
            text = refused(await hosts["b"].ask(action, "vm1"))
            assert "a, asked now: it is running there" in text
            assert " by a" in text
        text = refused(await hosts["b"].ask(Action.OFF, "vm2"))
        assert "b, asked now: it is running there: its daemon runs dry" in text
        assert "plan: it would be ended and its end proven by b" in text
        assert (await hosts["a"].state(1), await hosts["b"].state(2)) == (VmState.RUNNING, VmState.RUNNING)


async def test_the_answer_of_another_host_to_the_same_request_is_none_of_a_dry_runs() -> None:
    async with site({"a": [described(1)], "b": [described(2)]}, dry={"b"}) as (_, hosts):
        same = b"0123456789"
        assert (await hosts["a"].ask(Action.OFF, "vm1", random=same)).outcome.ok
        assert not (await hosts["b"].ask(Action.OFF, "vm1", random=same)).outcome.ok
