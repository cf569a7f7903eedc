"""Pacemaker's fencer fences VMs through our client and through C's, with our daemon and with C's."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.components import CHECKOUT
from tests.interop.pacemaker import Fencer, fencer
from tests.interop.programs import Make, Plan, Site, Transport, site
from tests.interop.worlds import EVERY_KIND, write_world

ON, OFF = (0, "Status: ON\n"), (2, "Status: OFF\n")


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our client as an administrator copies it into a guest."""
    target = tmp_path_factory.mktemp("client") / "fence_virt"
    builder = CHECKOUT / "guest_client" / "build_onefile.py"
    subprocess.run([sys.executable, builder, "--output", target], check=True, capture_output=True)
    return target


def status(place: Site, name: str) -> tuple[int, str]:
    return place.act(Make.C, "status", name).told


def register(pacemaker: Fencer, place: Site) -> None:
    options = {"key_file": f"{place.folder}/key", "pcmk_host_list": "alpha beta", "pcmk_host_check": "static-list"}
    agent = "fence_xvm"
    if place.plan.transport is Transport.TCP:
        options["ipaddr"] = "127.0.0.1"
        agent = "fence_virt"
    assert pacemaker.register(agent, **options).status == 0


def play(place: Site, agent: Path | None) -> None:
    """What a cluster does with a device, and what it must find."""
    with fencer(place, agent) as pacemaker:
        register(pacemaker, place)
        assert "xvm" in pacemaker.admin("--list-registered").out
        assert "1 fence device" in pacemaker.admin("--list", "alpha").out
        assert pacemaker.admin("--query", "xvm").status == 0  # the agent's monitor
        targets = pacemaker.admin("--list-targets", "xvm").out
        assert all(vm.name in targets and vm.uuid in targets for vm in EVERY_KIND)
        assert pacemaker.admin("--fence", "alpha").status == 0
        assert status(place, "alpha") == OFF
        assert pacemaker.admin("--fence", "alpha").status == 0
        assert pacemaker.admin("--unfence", "alpha").status == 0
        assert status(place, "alpha") == ON
        assert pacemaker.admin("--reboot", "alpha").status == 0
        assert status(place, "alpha") == ON
        assert status(place, "beta") == OFF
        assert pacemaker.admin("--fence", "nobody", "--timeout", "2").status != 0


def play_each(folder: Path, agents: dict[Make, Path | None], daemon: Make, transport: Transport) -> None:
    for client, agent in agents.items():
        own = folder / f"{client.name}{daemon.name}{transport.name}"
        own.mkdir()
        plan = Plan((write_world(own / "world.xml", EVERY_KIND),), transport)
        with site(daemon, plan, own / "site") as place:
            play(place, agent)


def test_pacemaker_fences_through_both_clients_and_both_daemons(tmp_path: Path, one_file: Path) -> None:
    agents = {Make.C: None, Make.OURS: one_file}
    ways = list(itertools.product(Make, Transport))
    with ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(lambda way: play_each(tmp_path, agents, *way), ways))


def test_pacemaker_reads_our_metadata_and_lists_both_agents(tmp_path: Path, one_file: Path) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", EVERY_KIND),))
    with site(Make.OURS, plan, tmp_path / "site") as place, fencer(place, one_file) as pacemaker:
        for agent in ("fence_virt", "fence_xvm"):
            shown = pacemaker.admin("--metadata", "--agent", agent)
            assert shown.status == 0
            assert f'resource-agent name="{agent}"' in shown.out
            assert '<action name="off"' in shown.out
        installed = pacemaker.admin("--list-installed").out.split()
        assert {"fence_virt", "fence_xvm"} <= set(installed)


def test_pacemaker_s_validate_fails_with_c_s_client_and_with_ours_alike(tmp_path: Path, one_file: Path) -> None:
    """Pacemaker gives the target under two names, which C refuses as "specified more than once"."""
    plan = Plan((write_world(tmp_path / "world.xml", EVERY_KIND),))
    answers = {}
    with site(Make.OURS, plan, tmp_path / "site") as place:
        for client, agent in ((Make.C, None), (Make.OURS, one_file)):
            place.folder = tmp_path / client.name
            place.folder.mkdir()
            with fencer(place, agent) as pacemaker:
                options = (f"--option=key_file={tmp_path}/site/key", "--option=ipaddr=127.0.0.1")
                answers[client] = pacemaker.admin(
                    "--validate", "--agent", "fence_virt", *options, "--option=plug=alpha"
                )
    assert [answer.status for answer in answers.values()] == [1, 1]
    assert all("more than once" in answer.out + answer.err for answer in answers.values())
